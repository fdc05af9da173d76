"""The command line: every command explains itself, and what goes wrong is a message, not a traceback."""

import json

import click
import pytest
from click.testing import CliRunner

from phoenix_assets.cli import main


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


def test_the_ledger_is_rebuilt_on_request(corpus) -> None:
    corpus.ledger.path.unlink()
    count = len([1 for asset in corpus.lake.assets() for _ in corpus.lake.records(asset)])
    assert invoke("ledger", "rebuild") == f"{count} records\n"


def test_what_could_not_be_taken_is_listed_with_its_reason(corpus) -> None:
    folder = corpus.path / "landing" / "cc" / "broken"
    folder.mkdir()
    (folder / "delivery.yaml").write_text("source: [cc", "utf-8")
    invoke("materialize", "models/lid", "--only")
    rows = json.loads(invoke("quarantine", "--json"))
    assert ("broken", "bad_manifest") in {(row["delivery"], row["reason"]) for row in rows}
    assert "cc/broken/delivery.yaml: bad_manifest: " in invoke("quarantine")
