"""The command line: every command explains itself, and what goes wrong is a message, not a traceback."""

import json
import re

import click
import polars as pl
import pytest
from click.testing import CliRunner

from phoenix_assets.cli import main
from phoenix_assets.lineage import SideTable


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = [path]
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
        else:
            found.append((*path, name))
    return found


def invoke(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    return result.output


@pytest.mark.parametrize("path", commands(main), ids=" ".join)
def test_every_command_says_what_it_does(path: tuple[str, ...]) -> None:
    shown = invoke(*path, "--help")
    assert shown.startswith("Usage: ") and len(shown.splitlines()) > 4


def test_a_dry_run_says_what_would_be_made_and_makes_nothing(corpus) -> None:
    before = corpus.record_ids()
    assert invoke("materialize", "tokens/v3", "--dry-run", "--no-take-landed") == ""
    assert "train/demo: not materialised yet" in invoke("materialize", "train/demo", "--dry-run")
    assert corpus.record_ids() == before


def test_up_to_date_is_said_in_words(corpus) -> None:
    assert "Nothing to do: everything is up to date." in invoke("materialize", "tokens/v3")


def test_an_unknown_asset_is_a_message_that_lists_the_known_ones(corpus) -> None:
    shown = invoke("materialize", "mix/v9", code=1)
    assert shown.startswith("Error: no asset mix/v9; there are: ") and "mix/v3" in shown


def test_the_audit_of_a_document_is_text_or_json(corpus) -> None:
    chosen = corpus.lake.read(corpus.record("mix/v3").as_input()).collect()["doc_id"].sort()[0]
    assert "mix/v3: " in invoke("audit", "document", chosen)
    assert json.loads(invoke("audit", "document", chosen, "--json"))["doc_id"] == chosen
    assert invoke("audit", "document", "nobody", code=1).startswith("Error: no document 'nobody'")


def test_the_audit_of_a_checkpoint_that_is_not_there_says_so(corpus) -> None:
    shown = invoke("audit", "checkpoint", "demo", code=1)
    assert shown == "Error: checkpoints/demo holds nothing; train demo first, or check its name\n"


def test_the_trace_of_steps_is_known_as_soon_as_their_order_is(corpus) -> None:
    assert "order/demo holds nothing; materialise it first" in invoke("trace", "demo", "--steps", "1", code=1)
    plan = corpus.make("order/demo").record
    found = json.loads(invoke("trace", "demo", "--steps", "2:3", "--json"))
    assert found["steps"] == [2, 3] and {row["step"] for row in found["spans"]} == {2, 3}
    assert sum(row["tokens"] for row in found["deliveries"]) == 2 * 2048
    assert all(row["licence"] for row in found["deliveries"])
    shown = invoke("trace", "demo", "--steps", "2:3")
    assert shown.startswith("demo, steps 2 to 3\n") and found["spans"][0]["doc_id"] in shown
    beyond = invoke("trace", "demo", "--steps", "1:999999", code=1)
    assert f"which has 1 to {plan.counts['steps']}" in beyond
    assert "'two' is neither a step nor steps A:B" in invoke("trace", "demo", "--steps", "two", code=2)


def content(corpus) -> dict[str, list[tuple]]:
    with corpus.ledger.connect() as connection:
        return {
            table: sorted(connection.table(table).fetchall(), key=str)
            for table in ("records", "inputs", "tables")
        }


def test_the_ledger_that_is_rebuilt_on_request_is_the_same(corpus) -> None:
    corpus.ledger.refresh()
    before = content(corpus)
    corpus.ledger.path.unlink()
    count = len([1 for asset in corpus.lake.assets() for _ in corpus.lake.records(asset)])
    assert invoke("ledger", "rebuild") == f"{count} records\n"
    assert content(corpus) == before


def test_every_audit_has_json_and_a_page_and_agrees_with_the_lake(corpus, tmp_path) -> None:
    doc_id = corpus.lake.read(corpus.record("mix/v3").as_input()).collect()["doc_id"].sort()[0]
    page = tmp_path / "page.html"
    audits = [
        ("audit", "mixture", "v3"),
        ("audit", "dataset", "wiki/filtered"),
        ("audit", "delivery", "qa/debian-faq-2024-06"),
        ("audit", "file", "wiki/enwiki-20160501/" + corpus_file(corpus, "wiki", "enwiki-20160501")),
        ("audit", "document", doc_id),
        ("audit", "diff", "wiki/extracted", "wiki/filtered"),
        ("licences", "--all"),
    ]
    for audit in audits:
        found = json.loads(invoke(*audit, "--json"))
        assert found["verification"]["passed"] and found["verification"]["rows"] > 0, audit
        said = invoke(*audit, "--html", str(page))
        assert "agrees with the lake" in said and str(page) in said
        shown = page.read_text("utf-8")
        assert shown.startswith("<!doctype html>") and "agrees with the lake" in shown
        assert not re.findall(r"(?:src|href)=[\"'](?!#)", shown) and "<script" not in shown


def corpus_file(corpus, source: str, delivery: str) -> str:
    return corpus.lake.read(corpus.record(f"{source}/raw", delivery).as_input()).collect()["file"][0]


def test_an_audit_names_the_partition_of_which_a_byte_was_changed_and_fails(corpus) -> None:
    stored = corpus.record("wiki/filtered", "enwiki-20160501")
    shard = corpus.lake.shards(stored.record.side_tables[SideTable.LEDGER])[0]
    frame = pl.read_parquet(shard.path, hive_partitioning=False)
    shard.path.unlink()
    frame.with_columns(chars_in=pl.col("chars_in") + 1).write_parquet(shard.path)
    for audit in (("mixture", "v3"), ("delivery", "wiki/enwiki-20160501"), ("document", frame["doc_id"][0])):
        shown = invoke("audit", *audit, code=1)
        assert "DOES NOT AGREE WITH THE LAKE" in shown
        assert "wiki/filtered[enwiki-20160501] ledger: rows hash to " in shown


def test_why_tells_a_documents_fate_in_sentences(corpus) -> None:
    ledger = corpus.record("wiki/filtered", "enwiki-20160501").record.side_tables[SideTable.LEDGER]
    kept = corpus.lake.read(ledger).filter("kept").collect()["doc_id"][0]
    first, second = invoke("why", kept).splitlines()[:2]
    assert first == f"{kept} came with wiki/enwiki-20160501."
    assert second.startswith("Kept by extracted, normalized, filtered")


def test_why_not_finds_a_text_that_was_pasted_and_says_what_the_filters_think(corpus, tmp_path) -> None:
    documents = corpus.lake.read(corpus.record("wiki/deduped", "enwiki-20160501").as_input()).collect()
    text = tmp_path / "text.txt"
    text.write_text(documents["text"][0], "utf-8")
    found = json.loads(invoke("why-not", "--file", str(text), "--source", "wiki", "--json"))
    assert found["lookalikes"][0]["doc_id"] == documents["doc_id"][0]
    assert found["verdict"]["kept"]
    assert f"{documents['doc_id'][0]} came with wiki/enwiki-20160501." in invoke(
        "why-not", documents["text"][0], "--source", "wiki"
    )
    assert "give an address or a text, or --file" in invoke("why-not", code=2)


def test_licences_that_end_are_asked_for_in_days(corpus) -> None:
    assert "the licences of 0 end until " in invoke("licences", "--expiring", "90d", "--no-verify")
    assert "'soon' is no number of days; write 90d" in invoke("licences", "--expiring", "soon", code=2)


def test_what_could_not_be_taken_is_listed_with_its_reason(corpus) -> None:
    folder = corpus.path / "landing" / "cc" / "broken"
    folder.mkdir()
    (folder / "delivery.yaml").write_text("source: [cc", "utf-8")
    invoke("materialize", "models/lid", "--only")
    rows = json.loads(invoke("quarantine", "--json"))
    assert ("broken", "bad_manifest") in {(row["delivery"], row["reason"]) for row in rows}
    assert "cc/broken/delivery.yaml: bad_manifest: " in invoke("quarantine")
