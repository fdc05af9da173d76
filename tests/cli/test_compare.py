"""`phoenix compare` and `phoenix twins`, on the small corpus and on a lake with a chain over two granularities."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from phoenix_assets.cli import main
from phoenix_assets.dedup.columns import write_column
from phoenix_assets.dedup.stages import DECISION
from phoenix_assets.dedup.store import BRIDGES
from phoenix_assets.lineage import InputVersion, SideTable, StoredRecord
from phoenix_assets.schema import DOCUMENT
from resources.build import Build
from resources.dedup_index import origin
from resources.lake import FILES

ONE, TWO, THREE, FOUR = (f"{number:032x}" for number in range(1, 5))
TEXTS = {ONE: "天下大势。", TWO: "天下大事。", THREE: "天下大事。", FOUR: "The end <b>."}


def invoke(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


@pytest.fixture(scope="module")
def home(small_corpus, home_at):
    with pytest.MonkeyPatch.context() as environment:
        yield home_at(small_corpus).use(environment)


@pytest.fixture
def chained(empty_home):
    """A lake in which THREE was dropped for TWO by its text, and TWO for ONE because it is nearly it."""

    def build(asset: str, partition: str, inputs: list[StoredRecord], by: str | None = "delivery") -> Build:
        found: tuple[InputVersion, ...] = tuple(one.as_input() for one in inputs)
        return Build(
            empty_home.lake, empty_home.ledger, asset, partition, "1", {}, "run", found, partitioned_by=by
        )

    rows = [
        {"doc_id": one, "source": "cc", "delivery": "d", "url": f"http://{one[-1]}.example/", "text": text}
        for one, text in TEXTS.items()
    ]
    filtered = build("cc/filtered", "d", []).commit_frame(pl.DataFrame(rows, schema=DOCUMENT))
    signatures = build("cc/signatures", "d", [filtered]).commit_frame(pl.DataFrame({"doc_id": list(TEXTS)}))
    place = origin("cc", "d")
    for granularity, documents, behind in (
        ("url", TEXTS, {}), ("exact", TEXTS, {THREE: TWO}), ("near", [ONE, TWO, FOUR], {TWO: ONE}),
    ):  # fmt: skip
        index = build(f"dedup/general/{granularity}", "", [signatures], by="origin")
        decided = [
            {"doc_id": one, "source": "cc", "delivery": "d", "kept": one not in behind, "duplicate_of": behind.get(one),
             "similarity": 0.8 if one in behind else None, "band": 4 if one in behind else None,
             "granularity": granularity, "number": number}
            for number, one in enumerate(documents)
        ]  # fmt: skip
        staged = index.stage(pl.DataFrame(decided, schema=DECISION), partition=place)
        folder = empty_home.path / granularity
        folder.mkdir()
        write_column(folder / BRIDGES, np.empty((0, 3), np.int64))
        files = empty_home.lake.store_files(index.side_asset(SideTable.FILES), folder)
        side = index.commit_side(SideTable.FILES, FILES, [index.stage_side(SideTable.FILES, files)])
        index.commit(
            DECISION, [staged], counts={"rows_out": len(decided)}, side_tables={SideTable.FILES: side}, partitions=[place]
        )  # fmt: skip
    return empty_home


def decisions_of(home, asset: str) -> pl.DataFrame:
    return home.lake.read(home.record(asset).as_input()).collect()


def test_the_pairs_of_an_index_are_listed_kept_above_dropped(home):
    decided = decisions_of(home, "dedup/general/exact")
    dropped = decided.filter(~pl.col("kept"))
    shown = invoke("compare", "general", "--granularity", "exact", "--pairs", "3").splitlines()
    assert f"{decided.height:,} documents, {dropped.height:,} dropped" in shown[0]
    pairs = [(kept.split()[2], twin.split()[2]) for kept, twin in zip(shown[3::2], shown[4::2], strict=True)]
    assert len(pairs) == min(3, dropped.height)
    assert set(pairs) <= set(dropped.select("duplicate_of", "doc_id").rows())


def test_the_largest_clusters_are_listed_with_all_their_documents(home):
    dropped = decisions_of(home, "dedup/general/exact").filter(~pl.col("kept"))
    largest = dropped["duplicate_of"].value_counts()["count"].max() + 1
    shown = invoke("compare", "gen", "--granularity", "exact", "--by", "size", "--pairs", "1").splitlines()[
        3:
    ]
    assert int(shown[0].split()[0]) == largest == len(shown)
    survivor = shown[0].split()[2]
    family = {survivor, *dropped.filter(duplicate_of=survivor)["doc_id"]}
    assert all(any(doc_id in line for line in shown) for doc_id in family)


def test_texts_stand_beside_each_other_in_one_file(home, tmp_path):
    written = tmp_path / "near.html"
    assert str(written) in invoke("compare", "general", "--html", str(written))
    again = tmp_path / "again.html"
    invoke("compare", "general", "--html", str(again))
    assert written.read_bytes() == again.read_bytes()
    dropped = decisions_of(home, "dedup/general/near").filter(~pl.col("kept"))
    shown = [row for row in dropped.iter_rows(named=True) if row["doc_id"] in written.read_text("utf-8")]
    assert shown and all(row["duplicate_of"] in written.read_text("utf-8") for row in shown)
    assert "A text cannot be read any more" not in written.read_text("utf-8")


def test_each_index_leaves_a_comparison_for_people(home):
    for granularity in ("url", "exact", "near"):
        page = (home.path / f"reports/dedup/general/{granularity}.html").read_text("utf-8")
        assert page.startswith("<!doctype html>") and f"dedup/general/{granularity}" in page


def test_twins_follow_the_chain_over_granularities(chained):
    for asked in (ONE, TWO, THREE):
        found = json.loads(invoke("twins", asked, "--json"))
        assert found["survivor"] == {
            "doc_id": ONE, "source": "cc", "delivery": "d", "url": "http://1.example/",
        }  # fmt: skip
        assert [
            (twin["doc_id"], twin["granularity"], twin["duplicate_of"], twin["similarity"], twin["band"], twin["url"])
            for twin in found["twins"]
        ] == [
            (TWO, "near", ONE, 0.8, 4, "http://2.example/"),
            (THREE, "exact", TWO, 0.8, 4, "http://3.example/"),
        ]  # fmt: skip
    shown = invoke("twins", THREE).splitlines()
    assert shown[0] == f"kept {ONE} in cc/d  http://1.example/"
    assert f"also present as {THREE} in cc/d (exact, similarity 0.80 to {TWO}, band 4)" in shown[2]
    assert shown[2].endswith("(this document)")


def test_a_document_without_twins_or_without_a_decision_is_said_to_be(chained):
    assert invoke("twins", FOUR).splitlines()[1] == "nowhere else"
    assert "no dedup index has seen 'x'" in invoke("twins", "x", code=1)


def test_a_survivor_that_the_next_granularity_dropped_is_followed(chained, tmp_path):
    shown = invoke("compare", "general", "--granularity", "exact")
    assert f"(dropped by near as a copy of {ONE})" in shown
    page = tmp_path / "exact.html"
    invoke("compare", "general", "--granularity", "exact", "--html", str(page))
    assert f"itself dropped afterwards, by near, as a copy of <code>{ONE}</code>" in page.read_text("utf-8")


def test_the_marked_difference_is_in_the_page(chained, tmp_path):
    page = tmp_path / "near.html"
    invoke("compare", "general", "--by", "size", "--html", str(page))
    assert "天下大<del>势</del>。" in page.read_text("utf-8")
    assert "天下大<ins>事</ins>。" in page.read_text("utf-8")


def test_an_index_without_duplicates_says_so(chained, tmp_path):
    assert "0 dropped, in 0 clusters" in invoke("compare", "general", "--granularity", "url")
    assert "0 dropped" in invoke("compare", "general", "--granularity", "url", "--by", "size")
    page = tmp_path / "url.html"
    invoke("compare", "general", "--granularity", "url", "--html", str(page))
    assert "Nothing was dropped." in page.read_text("utf-8")


def test_a_group_granularity_or_order_that_there_is_not_is_a_message(chained):
    assert "no dedup group 'x'; there are: general" in invoke("compare", "x", code=1)
    assert "no granularity 'colour'; there are: url, exact, near" in invoke(
        "compare", "general", "--granularity", "colour", code=1
    )
    assert "no order 'x'; there are: similarity, size" in invoke("compare", "general", "--by", "x", code=1)
