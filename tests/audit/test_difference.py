"""The difference of two versions of a dataset: what changed in what stands behind them, and which documents moved."""

import polars as pl
import pytest

from phoenix_assets.audit.diff import audit_diff, flat
from phoenix_assets.audit.page import page_text
from phoenix_assets.audit.upstream_pages import diff_page
from phoenix_assets.lineage import InputVersion, SideTable
from phoenix_assets.schema import DOCUMENT, LEDGER, ledger_rows
from resources.build import Build, ShardOutput

SCHEMA = pl.Schema({name: DOCUMENT[name] for name in ("doc_id", "delivery", "text", "lang")})


@pytest.fixture
def versions(empty_home):
    """`web/filtered[one]` twice: by another threshold, another kernel, of another delivery."""
    home = empty_home

    def build(asset: str, code: str, config: dict, inputs: list[InputVersion]) -> Build:
        return Build(home.lake, home.ledger, asset, "one", code, config, "", tuple(inputs))

    def version(threshold: int, code: str, rows: dict[str, str]) -> str:
        raw = build("web/raw", "register.1", {}, []).commit_frame(
            pl.DataFrame({"file": list(rows), "delivery": "one"})
        )
        work = build("web/filtered", code, {"rules": {"length": {"at_least": threshold}}}, [raw.as_input()])
        came = pl.DataFrame({"doc_id": list(rows), "text": list(rows.values())}).with_columns(
            delivery=pl.lit("one"), lang=pl.lit("en")
        )
        documents = came.select(SCHEMA.names())
        kept = documents["text"].str.len_chars() >= threshold
        reason = pl.when(kept).then(pl.lit("success")).otherwise(pl.lit("length"))
        ledger = ledger_rows(documents, "filtered", kept=kept, drop_reason=reason)
        output = ShardOutput(
            (work.stage(documents.filter(kept)),),
            (work.stage_side(SideTable.LEDGER, ledger),),
            reasons={"length": int((~kept).sum())} if not kept.all() else {},
        )
        return work.commit_shards(SCHEMA, [output]).record.data_version

    assert ledger_rows(SCHEMA.to_frame(), "filtered").schema == LEDGER
    first = version(
        3, "funnel.1-words.2+cfg=a", {"a": "xxx", "b": "xxxx", "c": "xxxxx", "d": "x", "e": "xxxxxx"}
    )
    second = version(
        4, "funnel.2-words.2+cfg=b", {"a": "xxx", "b": "xxxx", "c": "yyyyy", "d": "x", "f": "zzzz"}
    )
    return home, f"web/filtered@{first}", f"web/filtered@{second}"


def test_moved_documents_are_counted_by_what_moved_them(versions) -> None:
    home, first, second = versions
    found = audit_diff(home.lake, home.ledger, first, second)
    moved = found["documents"]
    assert (moved["same"], moved["changed"]) == (1, 1)
    went = {(row["stage"], row["reason"]): (row["documents"], row["examples"]) for row in moved["out"]}
    assert went == {("filtered", "length"): (1, ["a"]), ("raw", "the delivery itself"): (1, ["e"])}
    assert [(row["stage"], row["examples"]) for row in moved["in"]] == [("raw", ["f"])]
    assert found["verification"]["passed"]


def test_thresholds_kernels_and_deliveries_that_changed_are_named(versions) -> None:
    home, first, second = versions
    found = audit_diff(home.lake, home.ledger, first, second, verified=False)
    assert found["rules"] == [
        {"asset": "web/filtered", "rule": "rules.length.at_least", "first": 3, "second": 4}
    ]
    assert found["code"] == [{"asset": "web/filtered", "kernel": "funnel", "first": "1", "second": "2"}]
    assert [(row["delivery"], row["change"]) for row in found["deliveries"]] == [("web/one", "changed")]
    shown = page_text(diff_page(found))
    assert "1 documents came in, 2 went out, 1 are other than they were, 1 are the same." in shown
    assert "rules.length.at_least" in shown


def test_the_other_way_round_what_came_in_went_out(versions) -> None:
    home, first, second = versions
    forward, back = (
        audit_diff(home.lake, home.ledger, *names, verified=False)["documents"]
        for names in ((first, second), (second, first))
    )
    assert sum(row["documents"] for row in forward["in"]) == sum(row["documents"] for row in back["out"])
    assert {row["reason"] for row in back["in"]} == {"length", "the delivery itself"}


def test_a_version_is_not_different_from_itself(versions) -> None:
    home, first, _ = versions
    found = audit_diff(home.lake, home.ledger, first, first, verified=False)
    assert found["deliveries"] == found["rules"] == found["code"] == found["models"] == []
    assert "0 documents came in, 0 went out, 0 are other" in page_text(diff_page(found))
    assert "Other than before: nothing." in page_text(diff_page(found))


def test_data_that_holds_no_documents_is_compared_by_what_stands_behind_it(small_corpus, home_at) -> None:
    home = home_at(small_corpus)
    found = audit_diff(home.lake, home.ledger, "models/lid", "models/kenlm_en", verified=False)
    assert found["documents"]["compared"] is None
    assert {row["change"] for row in found["models"]} == {"added"}


def test_nested_values_are_known_by_their_path() -> None:
    assert dict(flat({"a": {"b": 1, "c": {}}, "d": [1, 2]})) == {"a.b": 1, "a.c": {}, "d": [1, 2]}
