"""Replay: a part of the tokens in the proportions of an earlier mixture, and no document in it and in a component."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.mix.config import Mixture
from phoenix_assets.mix.plan import counted, plan
from phoenix_assets.mix.select import select
from phoenix_assets.schema import document_id

SOURCES = ("cc", "wiki", "book", "code", "qa")
COUNT = 20_000
DOCUMENTS = pl.DataFrame(
    {
        "doc_id": [document_id(SOURCES[n % 5], "d", str(n)) for n in range(COUNT)],
        "source": [SOURCES[n % 5] for n in range(COUNT)],
        "delivery": ["d"] * COUNT,
        "lang": ["zh"] * COUNT,
        "tags": [[]] * COUNT,
        "quality": [0.5] * COUNT,
        "safety": [""] * COUNT,
        "chars": [300] * COUNT,
        "bytes": [900 + n % 7 for n in range(COUNT)],
    },
    schema_overrides={"tags": pl.List(pl.String)},
)
OLD = {
    "crawl": {"sources": ["cc"], "rate": 0.43},
    "wiki": {"sources": ["wiki"], "rate": 2, "max_epochs": 2},
    "book": {"sources": ["book"], "weight": 0.2},
}


def recipe(version: str, components: dict[str, object], seed: int = 3, **replay: object) -> Mixture:
    values = {
        "version": version,
        "seed": seed,
        "heldout": {"fraction": 0.02},
        "validation": {"fraction": 0.01},
        "components": components,
    }
    return Mixture.model_validate(values | ({"replay": replay} if replay else {}))


def replaying(components: dict[str, object], earlier: Mixture, **amount: float) -> Mixture:
    return recipe("new", components, mixture=earlier.version, recipe=earlier, **amount)


def tokens(mixture: Mixture, documents: pl.DataFrame = DOCUMENTS) -> dict[str, int]:
    rows = plan(counted(select(documents, mixture)), mixture)
    return dict(rows.select("component", "tokens").iter_rows())


def shares(counts: dict[str, int], prefix: str = "") -> dict[str, float]:
    own = {name: count for name, count in counts.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): count / sum(own.values()) for name, count in own.items()}


FIRST = recipe("old", OLD)
BEFORE = tokens(FIRST)


def test_a_second_stage_is_a_share_of_the_first_ones_distribution_and_additions_at_8_to_2() -> None:
    additions = {
        "qa": {"sources": ["qa"], "weight": 0.12, "max_epochs": 2},
        "knowledge": {"sources": ["wiki"], "weight": 0.08, "max_epochs": 3},
    }
    counts = tokens(replaying(additions, FIRST, rate=0.2))
    replayed = sum(count for name, count in counts.items() if name.startswith("old/"))
    assert replayed / sum(BEFORE.values()) == pytest.approx(0.2, rel=0.03)
    assert shares(counts, "old/") == pytest.approx(shares(BEFORE), abs=0.02)
    assert replayed / sum(counts.values()) == pytest.approx(0.8, abs=0.01)
    assert counts["qa"] / sum(counts.values()) == pytest.approx(0.12, abs=0.01)


@pytest.mark.parametrize(
    "new",
    [
        {"code": {"sources": ["code"]}},
        {"code": {"sources": ["code"]}, "more": {"sources": ["cc", "wiki"], "rate": 0.5}},
        {"code": {"sources": ["code"], "cap_tokens": 400_000}, "qa": {"sources": ["qa"], "weight": 0.1}},
        {"code": {"sources": ["code"], "weight": 0.5}, "books": {"sources": ["book"], "weight": 0.2}},
    ],
)
def test_continual_training_replays_the_old_distribution_at_its_weight(new: dict[str, object]) -> None:
    counts = tokens(replaying(new, FIRST, weight=0.3))
    replayed = sum(count for name, count in counts.items() if name.startswith("old/"))
    assert replayed / sum(counts.values()) == pytest.approx(0.3, abs=0.015)
    assert shares(counts, "old/") == pytest.approx(shares(BEFORE), abs=0.04)


def test_no_more_is_replayed_than_the_earlier_mixture_had() -> None:
    counts = tokens(replaying({"code": {"sources": ["code"], "rate": 3, "max_epochs": 3}}, FIRST, weight=0.9))
    replayed = sum(count for name, count in counts.items() if name.startswith("old/"))
    assert replayed == pytest.approx(sum(BEFORE.values()), rel=0.02)


def test_what_a_replaying_mixture_trains_on_can_be_replayed_too() -> None:
    second = replaying({"code": {"sources": ["code"]}}, FIRST, weight=0.3)
    third = recipe("third", {"qa": {"sources": ["qa"]}}, mixture="new", recipe=second, weight=0.5)
    counts = tokens(third)
    assert shares(counts, "new/") == pytest.approx(shares(tokens(second)), abs=0.03)
    assert counts["qa"] / sum(counts.values()) == pytest.approx(0.5, abs=0.02)


def test_no_document_is_in_the_replay_and_in_a_component_and_none_that_is_set_aside_is_replayed() -> None:
    mixture = replaying({"crawl": {"sources": ["cc"], "rate": 1}}, FIRST, rate=0.5)
    chosen = select(DOCUMENTS, mixture)
    assert chosen["doc_id"].equals(DOCUMENTS["doc_id"])
    crawl = chosen.filter((pl.col("source") == "cc") & (pl.col("split") == "train"))
    assert set(crawl["component"]) == {"crawl", "old/crawl"}
    assert set(crawl["copies"]) == {1}
    first = select(DOCUMENTS, FIRST)
    for split in ("heldout", "validation"):
        aside = chosen.filter(pl.col("split") == split)["doc_id"]
        assert aside.is_in(first.filter(pl.col("split") == split)["doc_id"].to_list()).all()


@settings(max_examples=10, deadline=None)
@given(st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_higher_rate_of_replay_only_adds_replayed_documents(one: float, two: float) -> None:
    low, high = (
        select(DOCUMENTS[:3000], replaying({"qa": {"sources": ["qa"]}}, FIRST, rate=rate)).filter(
            pl.col("component").str.starts_with("old/") & (pl.col("split") == "train")
        )
        for rate in sorted((one, two))
    )
    assert set(low["doc_id"]) <= set(high["doc_id"])


def test_the_order_of_documents_changes_nothing_in_a_replay() -> None:
    mixture = replaying({"code": {"sources": ["code"]}, "wiki": {"sources": ["wiki"]}}, FIRST, weight=0.3)
    shuffled = DOCUMENTS.sample(fraction=1, shuffle=True, seed=5)
    assert select(shuffled, mixture).sort("doc_id").equals(select(DOCUMENTS, mixture).sort("doc_id"))
