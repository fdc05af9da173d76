"""The audit of a document: why it was dropped, whose copy it is, and what a mixture made of it."""

import polars as pl
import pytest

from phoenix_assets.audit.document import audit_document
from phoenix_assets.audit.downstream_pages import document_page
from phoenix_assets.audit.page import page_text
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import SideTable
from phoenix_assets.schema import DOCUMENT, LEDGER
from resources.build import Build

STAGES = ["extracted", "normalized", "filtered", "deduped", "trimmed", "tagged"]


@pytest.fixture(scope="module")
def home(small_corpus, home_at):
    return home_at(small_corpus)


def ledger_rows(home, stage: str) -> pl.DataFrame:
    return pl.concat(
        home.lake.read(stored.record.side_tables[SideTable.LEDGER]).collect()
        for (asset, _), stored in home.heads().items()
        if asset.endswith(f"/{stage}")
    ).sort("doc_id")


def document_text(found: dict) -> str:
    return page_text(document_page(found))


def audit(home, doc_id: str) -> dict:
    return audit_document(home.lake, home.ledger, doc_id)


def test_a_filtered_document_tells_the_rule_that_dropped_it_and_every_rules_value(home) -> None:
    row = ledger_rows(home, "filtered").filter(~pl.col("kept")).row(0, named=True)
    found = audit(home, row["doc_id"])
    assert [stage["stage"] for stage in found["stages"]] == STAGES[:3]
    fate = found["stages"][-1]
    assert (fate["kept"], fate["drop_reason"]) == (False, row["drop_reason"])
    rules = {rule["rule"]: rule for rule in fate["rules"]}
    assert rules[row["drop_reason"]]["holds"] is False
    assert len(rules) == len(row["rules_name"]) >= 9
    assert found["mixtures"] == [] and found["training"] == []
    text = document_text(found)
    assert f"DROPPED: {row['drop_reason']}" in text and "FAIL" in text
    assert f"Dropped by filtered: {row['drop_reason']} is " in text


def test_the_bound_of_a_rule_is_the_one_that_was_in_force(home) -> None:
    dropped = ledger_rows(home, "filtered").filter(pl.col("drop_reason") == "cond_check_perplexity")
    row = dropped.row(0, named=True)
    found = audit(home, row["doc_id"])
    record = home.record(f"{found['source']}/filtered", found["delivery"]).record
    bound = record.config["filter_profile"]["rules"]["cond_check_perplexity"]["below"]
    rule = next(one for one in found["stages"][-1]["rules"] if one["rule"] == "cond_check_perplexity")
    assert rule["bounds"] == {"below": bound} and rule["value"] >= bound
    assert f"kept if < {bound:,g}" in document_text(found)


def test_a_document_of_a_delivery_that_was_replaced_is_still_known(corpus) -> None:
    stored = corpus.record("qa/extracted", "debian-faq-2024-06")
    rows = corpus.lake.read(stored.as_input()).collect()
    before = audit(corpus, rows["doc_id"][0])
    build = Build(corpus.lake, corpus.ledger, "qa/extracted", stored.record.partition, "1", {}, "", ())
    ledger = corpus.lake.read(stored.record.side_tables[SideTable.LEDGER]).collect()
    gone = pl.col("doc_id") != rows["doc_id"][0]
    side = build.commit_side(
        SideTable.LEDGER, LEDGER, [build.stage_side(SideTable.LEDGER, ledger.filter(gone))]
    )
    build.commit(
        DOCUMENT,
        [build.stage(rows.filter(gone))],
        counts={"rows_out": rows.height - 1},
        side_tables={SideTable.LEDGER: side},
    )
    found = audit(corpus, rows["doc_id"][0])
    assert before["current"] and not found["current"]
    assert [row["stage"] for row in found["stages"]] == [row["stage"] for row in before["stages"]]
    assert "The delivery has been replaced since." in document_text(found)
    assert audit(corpus, rows["doc_id"][1])["current"]


def test_a_duplicate_names_its_survivor_and_the_survivor_its_duplicate(home) -> None:
    duplicates = ledger_rows(home, "deduped").filter(pl.col("drop_reason") == "exact_duplicate")
    row = duplicates.row(0, named=True)
    found = audit(home, row["doc_id"])
    assert found["survivor"]["doc_id"] == row["duplicate_of"] == found["stages"][-1]["duplicate_of"]
    assert found["survivor"]["locator"]
    survivor = audit(home, row["duplicate_of"])
    assert [stage["stage"] for stage in survivor["stages"]] == STAGES
    twins = {twin["doc_id"]: twin for twin in survivor["twins"]}
    assert twins[row["doc_id"]]["granularity"] == "exact"
    assert f"It is a copy of {row['duplicate_of']} in " in document_text(found)
    assert row["doc_id"] in document_text(survivor).split("Also present as")[1]


def test_a_document_that_lost_paragraphs_tells_which_documents_keep_them(home) -> None:
    decisions = home.lake.read(home.record("dedup/general/paragraphs").as_input())
    rows = decisions.filter("kept", pl.col("duplicated").list.len() > 0).sort("doc_id").collect()
    row = rows.row(0, named=True)
    lost = [one for one in audit(home, row["doc_id"])["lost_passages"] if one["level"] == "paragraphs"]
    assert sum(one["passages"] for one in lost) == len(row["duplicated"])
    assert {one["doc_id"] for one in lost} == set(row["holder"])
    assert (
        lost[0]["doc_id"] in document_text(audit(home, row["doc_id"])).split("Passages that others keep")[1]
    )


def test_a_document_that_was_chosen_tells_its_component_split_and_copies(home) -> None:
    chosen = home.lake.read(home.record("mix/v3").as_input()).sort("doc_id").collect().row(0, named=True)
    (mixture,) = audit(home, chosen["doc_id"])["mixtures"]
    assert mixture["mixture"] == "mix/v3" and mixture["kept"]
    assert [mixture[name] for name in ("component", "split", "copies")] == [
        chosen[name] for name in ("component", "split", "copies")
    ]


def test_a_document_that_was_sampled_out_tells_why(home) -> None:
    ledger = home.lake.read(home.record("mix/v3").record.side_tables[SideTable.LEDGER]).collect()
    row = ledger.filter(~pl.col("kept")).sort("doc_id").row(0, named=True)
    (mixture,) = audit(home, row["doc_id"])["mixtures"]
    assert (mixture["kept"], mixture["drop_reason"]) == (False, row["drop_reason"])
    assert f"mix/v3: left out: {row['drop_reason']}" in document_text(audit(home, row["doc_id"]))


def test_every_stage_names_the_code_and_the_content_it_belongs_to(home) -> None:
    row = ledger_rows(home, "tagged").row(0, named=True)
    found = audit(home, row["doc_id"])
    for stage in found["stages"]:
        record = home.record(f"{found['source']}/{stage['stage']}", found["delivery"]).record
        assert (stage["data_version"], stage["code_version"]) == (record.data_version, record.code_version)


def test_a_document_that_nobody_knows_is_an_error_that_says_what_a_doc_id_is(home) -> None:
    with pytest.raises(LineageError, match="no document 'abc' in any ledger; a doc_id is 32 hex digits"):
        audit(home, "abc")
