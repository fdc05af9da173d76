"""Selection: rows are conserved, splits are disjoint and blind to rates, a higher rate only adds."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.errors import ConservationError
from phoenix_assets.mix.amounts import settle
from phoenix_assets.mix.config import Mixture
from phoenix_assets.mix.plan import PLAN, counted, plan
from phoenix_assets.mix.select import SELECTION, decide, select
from phoenix_assets.schema import document_id

SOURCES = ("cc", "wiki", "book", "forum")


def documents(count: int = 3000) -> pl.DataFrame:
    numbers = range(count)
    sources = [SOURCES[n % len(SOURCES)] for n in numbers]
    return pl.DataFrame(
        {
            "doc_id": [document_id(source, "d1", str(n)) for n, source in zip(numbers, sources, strict=True)],
            "source": sources,
            "delivery": [f"d{n % 3}" for n in numbers],
            "lang": [("zh", "en", "ja")[n % 5 % 3] for n in numbers],
            "tags": [["math"] if n % 7 == 0 else [] for n in numbers],
            "quality": [None if n % 11 == 0 else n % 100 / 100 for n in numbers],
            "safety": ["drugs" if n % 13 == 0 else "" for n in numbers],
            "chars": [n % 900 for n in numbers],
            "bytes": [n * 37 % 9000 for n in numbers],
        },
        schema_overrides={"tags": pl.List(pl.String), "quality": pl.Float64},
    )


DOCUMENTS = documents()


def recipe(
    heldout: float = 0.05, validation: float = 0.05, seed: int = 3, **components: dict[str, object]
) -> Mixture:
    return Mixture.model_validate(
        {
            "version": "test",
            "seed": seed,
            "heldout": {"fraction": heldout},
            "validation": {"fraction": validation},
            "components": components,
        }
    )


def planned(documents: pl.DataFrame, mixture: Mixture) -> dict[str, dict[str, object]]:
    rows = plan(counted(select(documents, mixture)), mixture)
    assert rows.schema == PLAN
    return {row["component"]: row for row in rows.iter_rows(named=True)}


def ids(selection: pl.DataFrame, split: str) -> set[str]:
    return set(selection.filter(pl.col("split") == split)["doc_id"])


def training_tokens(selection: pl.DataFrame, component: str) -> int:
    rows = selection.filter((pl.col("split") == "train") & (pl.col("component") == component))
    return int((rows["copies"] * rows["est_tokens"]).sum())


rates = st.floats(0.01, 3.0)


@settings(max_examples=25, deadline=None)
@given(rates, rates)
def test_a_higher_rate_only_adds_copies(first: float, second: float):
    low, high = sorted((first, second))
    part = {"sources": ["cc"], "max_epochs": 3}
    before = select(DOCUMENTS, recipe(crawl={**part, "rate": low}))
    after = select(DOCUMENTS, recipe(crawl={**part, "rate": high}))
    assert (before["copies"] <= after["copies"]).all()


@settings(max_examples=25, deadline=None)
@given(rates, rates, st.integers(1, 2_000_000))
def test_a_higher_rate_only_adds_copies_under_a_cap_too(first: float, second: float, cap: int):
    low, high = sorted((first, second))
    part = {"sources": ["cc"], "max_epochs": 3, "cap_tokens": cap}
    before = select(DOCUMENTS, recipe(crawl={**part, "rate": low}))
    after = select(DOCUMENTS, recipe(crawl={**part, "rate": high}))
    assert (before["copies"] <= after["copies"]).all()
    assert training_tokens(after, "crawl") <= cap


@settings(max_examples=25, deadline=None)
@given(rates, rates, st.integers(0, 2**64 - 1))
def test_what_is_held_out_and_validated_depends_on_neither_rates_nor_sampling_seed(
    one: float, two: float, seed: int
):
    first = select(DOCUMENTS, recipe(crawl={"sources": ["cc"], "rate": one, "max_epochs": 3}))
    second = select(DOCUMENTS, recipe(crawl={"sources": ["cc"], "rate": two, "max_epochs": 3}, seed=seed))
    assert ids(first, "heldout") == ids(second, "heldout") != set()
    assert ids(first, "validation") == ids(second, "validation") != set()


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 0.5), st.floats(0, 0.5), rates, st.none() | st.integers(1, 10**6), st.floats(0, 1))
def test_every_document_gets_one_row_and_a_reason_if_it_is_not_chosen(
    heldout: float, validation: float, rate: float, cap: int | None, quality: float
):
    part = {"sources": ["cc"], "rate": rate, "max_epochs": 3, "cap_tokens": cap, "min_quality": quality}
    chosen = select(DOCUMENTS, recipe(heldout, validation, crawl=part, wiki={"sources": ["wiki"]}))
    assert chosen.schema == SELECTION
    assert chosen["doc_id"].equals(DOCUMENTS["doc_id"])
    assert chosen.filter((pl.col("split") == "none") != pl.col("reason").is_not_null()).is_empty()
    assert chosen.filter((pl.col("split") == "none") != (pl.col("copies") == 0)).is_empty()
    assert chosen.filter(
        pl.col("split").is_in(["heldout", "validation"]) & (pl.col("copies") != 1)
    ).is_empty()


def test_the_order_of_documents_changes_nothing():
    mixture = recipe(
        crawl={"sources": ["cc"], "rate": 0.43, "cap_tokens": 200_000},
        wiki={"sources": ["wiki"], "weight": 0.4, "max_epochs": 4},
    )
    shuffled = DOCUMENTS.sample(fraction=1, shuffle=True, seed=5)
    assert select(shuffled, mixture).sort("doc_id").equals(select(DOCUMENTS, mixture).sort("doc_id"))


def test_crawl_is_sampled_at_its_rate():
    chosen = select(documents(20_000), recipe(0, 0, crawl={"sources": ["cc"], "rate": 0.43}))
    assert len(ids(chosen, "train")) / 5000 == pytest.approx(0.43, abs=0.02)


def test_one_and_a_half_epochs_repeat_about_half_of_the_documents():
    chosen = select(DOCUMENTS, recipe(0, 0, wiki={"sources": ["wiki"], "rate": 1.5, "max_epochs": 2}))
    copies = chosen.filter(pl.col("component") == "wiki")["copies"]
    assert set(copies) == {1, 2}
    assert copies.mean() == pytest.approx(1.5, abs=0.06)


def test_a_new_delivery_leaves_the_draws_of_the_others_alone():
    mixture = recipe(crawl={"sources": ["cc"], "rate": 0.43})
    old = DOCUMENTS.filter(pl.col("delivery") != "d2")
    assert select(DOCUMENTS, mixture).filter(pl.col("delivery") != "d2").equals(select(old, mixture))


def test_the_first_component_that_fits_takes_the_document():
    chosen = select(
        DOCUMENTS,
        recipe(
            good={"sources": ["cc"], "min_quality": 0.7},
            mathematics={"sources": ["cc"], "tags": ["math"]},
            recent={"sources": ["cc"], "deliveries": ["d2"]},
            chinese={"sources": ["cc"], "languages": ["zh"], "rate": 0.5},
        ),
    ).join(DOCUMENTS.drop("source", "delivery"), on="doc_id", maintain_order="left")
    crawl = chosen.filter(pl.col("source") == "cc")
    assert crawl.filter(pl.col("component") == "good")["quality"].min() >= 0.7
    assert crawl.filter((pl.col("component") != "good") & (pl.col("quality") >= 0.7)).is_empty()
    assert crawl.filter(component="mathematics")["tags"].to_list() == [["math"]] * len(
        crawl.filter(component="mathematics")
    )
    assert set(crawl.filter(component="recent")["delivery"]) == {"d2"}
    assert set(crawl.filter(component="chinese")["lang"]) == {"zh"}


def test_reasons_tell_quality_from_a_source_that_nobody_asked_for():
    chosen = select(DOCUMENTS, recipe(crawl={"sources": ["cc"], "min_quality": 0.5}))
    reasons = chosen.join(DOCUMENTS.select("doc_id", "quality"), on="doc_id")
    assert set(reasons.filter(pl.col("source") != "cc")["reason"]) == {"no_component"}
    assert set(reasons.filter((pl.col("source") == "cc") & (pl.col("quality") < 0.5))["reason"]) == {
        "below_quality"
    }
    assert set(reasons.filter((pl.col("source") == "cc") & pl.col("quality").is_null())["reason"]) == {
        "below_quality"
    }


def test_documents_beyond_a_cap_say_so():
    chosen = select(DOCUMENTS, recipe(crawl={"sources": ["cc"], "cap_tokens": 100_000}))
    assert 90_000 < training_tokens(chosen, "crawl") <= 100_000
    assert chosen.filter((pl.col("source") == "cc") & (pl.col("split") == "none"))[
        "reason"
    ].unique().to_list() == ["over_cap"]


def test_a_weight_becomes_that_share_of_the_tokens():
    mixture = recipe(
        crawl={"sources": ["cc"], "rate": 0.43},
        wiki={"sources": ["wiki"], "weight": 0.6, "max_epochs": 3},
    )
    wiki = planned(documents(20_000), mixture)["wiki"]
    assert wiki["weight"] == 0.6 and wiki["share"] == pytest.approx(0.6, abs=0.01)


def test_a_weight_never_repeats_beyond_max_epochs():
    mixture = recipe(crawl={"sources": ["cc"]}, wiki={"sources": ["wiki"], "weight": 0.9, "max_epochs": 2})
    chosen = select(DOCUMENTS, mixture)
    assert chosen.filter(component="wiki", split="train")["copies"].unique().to_list() == [2]


def test_weights_alone_use_up_the_scarcest_component():
    mixture = recipe(
        crawl={"sources": ["cc"], "weight": 0.8},
        wiki={"sources": ["wiki"], "weight": 0.1, "max_epochs": 2},
        book={"sources": ["book"], "weight": 0.1},
    )
    summary = planned(documents(20_000), mixture)
    assert {name: round(row["share"], 2) for name, row in summary.items()} == {
        "crawl": 0.8,
        "wiki": 0.1,
        "book": 0.1,
    }
    assert summary["crawl"]["epochs"] == 1.0


def test_a_document_that_comes_twice_is_refused():
    with pytest.raises(ConservationError, match="read twice upstream"):
        select(pl.concat([DOCUMENTS, DOCUMENTS.head(1)]), recipe(crawl={"sources": ["cc"]}))


def test_no_documents_give_no_rows():
    assert select(DOCUMENTS.clear(), recipe(crawl={"sources": ["cc"]})).schema == SELECTION


def test_the_plan_accounts_for_every_document_and_all_tokens():
    mixture = recipe(crawl={"sources": ["cc"], "rate": 0.43}, wiki={"sources": ["wiki"]})
    summary = planned(DOCUMENTS, mixture)
    available = sum(row["available_documents"] for row in summary.values())
    assert available == DOCUMENTS.filter(pl.col("source").is_in(["cc", "wiki"])).height
    assert sum(row["share"] for row in summary.values()) == pytest.approx(1)
    assert summary["wiki"]["epochs"] == 1.0


def test_the_plan_lists_components_without_documents_too():
    mixture = recipe(crawl={"sources": ["cc"]}, poems={"sources": ["poetry"], "weight": 0.2})
    poems = planned(DOCUMENTS, mixture)["poems"]
    assert (poems["available_documents"], poems["tokens"], poems["share"], poems["weight"]) == (0, 0, 0, 0.2)


def test_batches_of_any_size_decide_alike():
    mixture = recipe(
        crawl={"sources": ["cc"], "rate": 0.43, "cap_tokens": 200_000},
        wiki={"sources": ["wiki"], "weight": 0.4, "max_epochs": 4},
    )
    for size in (50, 700):
        amounts = settle(lambda size=size: DOCUMENTS[:900].iter_slices(size), mixture)
        decided = [decide(batch, mixture, amounts) for batch in DOCUMENTS[:900].iter_slices(size)]
        assert pl.concat(decided).equals(select(DOCUMENTS[:900], mixture))


def test_documents_with_an_excluded_safety_label_stay_out():
    chosen = select(DOCUMENTS, recipe(crawl={"sources": ["cc"], "exclude_safety": ["drugs", "gambling"]}))
    crawl = chosen.with_columns(DOCUMENTS["safety"]).filter(pl.col("source") == "cc")
    assert set(crawl.filter(pl.col("component") == "crawl")["safety"]) == {""}
    assert set(crawl.filter(pl.col("safety") == "drugs")["reason"]) == {"no_component"}


def test_from_43_to_50_percent_the_documents_of_before_all_stay():
    many = documents(20_000)
    before, after = (
        ids(select(many, recipe(crawl={"sources": ["cc"], "rate": rate})), "train") for rate in (0.43, 0.5)
    )
    assert before < after
