"""What the whole pipeline makes of the small corpus: nothing lost, nothing invented, nothing done twice."""

from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.ingest.sample.build import load_sample_config
from phoenix_assets.ingest.sample.config import Recrawl
from phoenix_assets.lineage import SideTable
from phoenix_assets.schema import KEPT
from phoenix_assets.tokens.trace import TraceIndex
from resources.declare import CONSERVATION
from resources.ledger import LineageLedger

BEFORE = {
    "normalized": "extracted",
    "filtered": "normalized",
    "deduped": "filtered",
    "trimmed": "deduped",
    "tagged": "trimmed",
}


class Corpus:
    """A home as it stands, each table read once."""

    def __init__(self, home) -> None:
        self.home = home
        self.heads = home.heads()
        self.tables: dict[tuple[str, str], pl.DataFrame] = {}

    def table(self, asset: str, partition: str = "") -> pl.DataFrame:
        place = asset, partition
        if place not in self.tables:
            self.tables[place] = self.home.lake.read(self.heads[place].as_input()).collect()
        return self.tables[place]

    def ledger_of(self, asset: str, partition: str = "") -> pl.DataFrame:
        record = self.heads[asset, partition].record
        return self.home.lake.read(record.side_tables[SideTable.LEDGER]).collect()

    def all_of(self, stage: str) -> list[tuple[str, str]]:
        return [
            place
            for place in self.heads
            if place[0].endswith(f"/{stage}") and not place[0].startswith("dedup/")
        ]

    def stages(self) -> list[tuple[str, str, str]]:
        """Return (source, stage, delivery) of every stage that hands documents on."""
        return [
            (asset.split("/")[0], stage, delivery)
            for stage in BEFORE
            for asset, delivery in self.all_of(stage)
        ]


@pytest.fixture(scope="module")
def made(small_corpus, home_at) -> Corpus:
    return Corpus(home_at(small_corpus))


def test_every_landed_delivery_went_through_every_stage(made, stages: tuple[str, ...]) -> None:
    landed = {
        (path.parent.parent.name, path.parent.name)
        for path in made.home.path.glob("landing/*/*/delivery.yaml")
    }
    assert len(landed) >= 8
    for stage in stages:
        there = {(asset.split("/")[0], part) for asset, part in made.all_of(stage)}
        assert there == landed, stage


def test_every_stage_passed_its_conservation_check(made) -> None:
    from phoenix_assets.definitions import defs

    verdicts = {}
    for asset in defs.assets or []:
        for spec in (spec for spec in asset.check_specs if spec.name == CONSERVATION):
            records = made.home.instance.event_log_storage.get_asset_check_execution_history(
                spec.key, limit=100
            )
            for record in records:
                evaluation = record.event.dagster_event.event_specific_data
                verdicts[spec.asset_key.to_user_string(), record.run_id] = evaluation.passed
    conserving = [place for place, stored in made.heads.items() if "rows_dropped" in stored.record.counts]
    assert len(verdicts) == len(conserving) > 40
    assert all(verdicts.values())


def test_rows_in_are_rows_kept_and_rows_dropped_at_every_stage(made) -> None:
    for source, stage, delivery in made.stages():
        upstream = set(made.table(f"{source}/{BEFORE[stage]}", delivery)["doc_id"])
        ledger = made.ledger_of(f"{source}/{stage}", delivery)
        kept = ledger.filter("kept")
        assert ledger["doc_id"].is_unique().all()
        assert set(ledger["doc_id"]) == upstream, (source, stage, delivery)
        assert set(kept["doc_id"]) == set(made.table(f"{source}/{stage}", delivery)["doc_id"])
        assert (kept["drop_reason"] == KEPT).all()
        assert not ledger.filter(~pl.col("kept"))["drop_reason"].is_in([KEPT, ""]).any()


def test_the_mixture_decides_about_every_tagged_document(made) -> None:
    tagged = pl.concat(
        made.table(asset, part).select("doc_id") for asset, part in made.heads if asset.endswith("/tagged")
    )
    ledger = made.ledger_of("mix/v3")
    assert sorted(ledger["doc_id"]) == sorted(tagged["doc_id"])
    assert set(ledger.filter("kept")["doc_id"]) == set(made.table("mix/v3")["doc_id"])


def test_counts_in_the_records_agree_with_the_tables(made) -> None:
    for (asset, partition), stored in made.heads.items():
        counts = stored.record.counts
        assert counts["rows_out"] == made.table(asset, partition).height, asset
        if "rows_dropped" in counts:
            assert counts["rows_in"] == counts["rows_out"] + counts["rows_dropped"]
            assert counts["rows_dropped"] == sum(stored.record.reasons.values())


def test_token_shards_hold_each_chosen_copy_once_and_no_held_out_document(made) -> None:
    chosen = made.table("mix/v3")
    record = made.heads["tokens/v3", ""].record
    folder = made.home.lake.files_folder(record.side_tables[SideTable.FILES])
    trace = pl.concat(TraceIndex(folder, split).frame() for split in ("train", "validation"))
    assert trace["tokens"].sum() == record.counts["tokens"]
    expected = {
        (split, doc_id): copies
        for split, doc_id, copies in chosen.select("split", "doc_id", "copies").iter_rows()
        if split != "heldout"
    }
    counted = trace.group_by("split", "doc_id").len()
    assert {(split, doc_id): count for split, doc_id, count in counted.iter_rows()} == expected
    assert set(chosen["split"]) == {"train", "validation", "heldout"}


def test_of_a_page_and_its_planted_copy_one_is_dropped_and_leads_to_a_survivor(made) -> None:
    (crawl,) = (one for one in load_sample_config().deliveries if isinstance(one, Recrawl) and one.small)
    later = made.table("cc/filtered", crawl.delivery)
    verdicts = pl.concat(
        made.ledger_of(asset, part).select("doc_id", "drop_reason", "duplicate_of")
        for asset, part in made.heads
        if asset.endswith("/deduped")
    )
    behind = dict(verdicts.drop_nulls("duplicate_of").select("doc_id", "duplicate_of").iter_rows())
    for base_url, reason in (
        (crawl.copied_base_url, "exact_duplicate"),
        (crawl.edited_base_url, "near_duplicate"),
    ):
        copies = set(later.filter(pl.col("url").str.starts_with(base_url))["doc_id"])
        pairs = verdicts.filter(
            (pl.col("drop_reason") == reason)
            & (pl.col("doc_id").is_in(copies) | pl.col("duplicate_of").is_in(copies))
        )
        assert len(copies) > 0
        assert pairs.height > 0.9 * len(copies)
        for survivor in pairs["duplicate_of"]:
            while survivor in behind:
                survivor = behind[survivor]
            assert verdicts.filter(pl.col("doc_id") == survivor)["drop_reason"].to_list() == ["success"]


def test_a_document_keeps_its_id_and_its_locator_through_all_stages(made) -> None:
    for source, stage, delivery in made.stages():
        columns = ("doc_id", "source", "delivery", "locator", "url")
        before = made.table(f"{source}/extracted", delivery).select(columns)
        after = made.table(f"{source}/{stage}", delivery).select(columns)
        assert after.join(before, on=columns, how="anti", nulls_equal=True).is_empty()


def test_the_licence_of_every_delivery_reaches_the_tokens(made) -> None:
    terms = {(term.source, term.delivery) for term in made.heads["tokens/v3", ""].record.licences}
    raw = {(asset.split("/")[0], part) for asset, part in made.heads if asset.endswith("/raw")}
    assert terms == raw


def test_every_record_names_inputs_that_the_lake_holds(made) -> None:
    for stored in made.heads.values():
        behind = made.home.ledger.records_of(stored.record.inputs)
        assert [source.record.asset for source in behind] == [part.asset for part in stored.record.inputs]
    named = {part.asset for part in made.heads["tokens/v3", ""].record.inputs}
    assert {"mix/v3", "models/tokenizer", "cc/tagged"} <= named


def test_bringing_up_again_does_nothing(corpus) -> None:
    assert corpus.stale() == {}
    assert corpus.bring_up() == set()
    assert corpus.said == []


def test_the_ledger_of_the_whole_corpus_can_be_rebuilt_from_the_lake(made, tmp_path: Path) -> None:
    anew = LineageLedger(made.home.lake, tmp_path / "anew.duckdb")
    assert anew.rebuild() == sum(
        1 for asset in made.home.lake.assets() for _ in made.home.lake.records(asset)
    )
    assert anew.all_heads() == made.home.ledger.all_heads()
