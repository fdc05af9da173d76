"""What people and catalogues are told of a mixture."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import click.testing
import mlcroissant
import polars as pl
import pytest
import yaml

from phoenix_assets.audit.dataset_card import MixtureFacts, dataset_card
from phoenix_assets.cli import main
from phoenix_assets.ingest.register import RAW_FILE
from phoenix_assets.lineage import LicenceTerms, StoredRecord
from phoenix_assets.mix.select import SELECTION
from phoenix_assets.schema import StageOutput, ledger_rows
from phoenix_assets.tag.stages import TAGGED
from resources.build import Build
from resources.lake import Lake
from resources.ledger import LineageLedger
from resources.mixture_card import CARD, CROISSANT, mixture_facts, write_card
from resources.shard_work import shard_work

PROFILE = {
    "name": "default",
    "description": "web pages",
    "rules": {
        "cond_check_short_line": {"below": 0.5, "above": None, "enforced": True, "reason": "menus"},
        "cond_check_stopwords": {"at_least": 0.0, "enforced": False, "reason": ""},
    },
}
DELIVERIES = {"qa": ("faq", "CC-BY-4.0", 4), "wiki": ("dump", "LicenseRef-Vendor", 2)}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOENIX_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def mixture(home: Path) -> StoredRecord:
    """A mixture of two sources, whose documents have come through raw, filtered and tagged."""
    ledger = LineageLedger(Lake(home))
    tagged = [chain(ledger, source, *delivery) for source, delivery in DELIVERIES.items()]
    build = start(ledger, "mix/v2.1", "", *tagged, config={"recipe": {"seed": 1, "base": None}})
    chosen = pl.concat([build.lake.read(one.as_input()).collect() for one in tagged], how="diagonal").select(
        "doc_id", "source", "delivery", component="source", split=pl.lit("train"), copies=pl.lit(2, pl.Int32),
        chars=pl.lit(30), est_tokens=pl.lit(10), reason=pl.lit(None, pl.String),
    )  # fmt: skip
    halves = [chosen[:3], chosen[3:]]
    staged = [build.stage(half.match_to_schema(SELECTION, integer_cast="upcast")) for half in halves]
    return build.commit(SELECTION, staged, counts={"rows_out": chosen.height})


def chain(ledger: LineageLedger, source: str, delivery: str, licence: str, documents: int) -> StoredRecord:
    terms = (
        LicenceTerms(source=source, delivery=delivery, licence=licence, expires=date(2030, 1, 1).isoformat()),
    )
    raw = start(ledger, f"{source}/raw", delivery)
    file = {"source": source, "delivery": delivery, "vendor": f"{source} ltd", "received": "2024-06-01"}
    stored = raw.commit(
        RAW_FILE, [raw.stage(pl.DataFrame([file], schema=RAW_FILE))], counts={"rows_out": 1}, licences=terms
    )
    rows = [
        {"doc_id": f"{source}{number}", "source": source, "delivery": delivery, "text": "一 one", "lang": "zh" if number else "en"}
        for number in range(documents)
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=TAGGED)
    for stage, dropped in (("filtered", 1), ("tagged", 0)):
        kept = pl.int_range(pl.len()) >= dropped
        build = start(ledger, f"{source}/{stage}", delivery, stored, config={"filter_profile": PROFILE})
        reason = pl.when(kept).then(pl.lit("success")).otherwise(pl.lit("cond_check_short_line"))
        output = StageOutput(frame.filter(kept), ledger_rows(frame, stage, kept=kept, drop_reason=reason))
        stored = build.commit_shards(TAGGED, [shard_work(build, lambda one: [one])(output)])
        frame = output.documents
    return stored


def start(
    ledger: LineageLedger,
    asset: str,
    partition: str,
    *inputs: StoredRecord,
    config: dict[str, Any] | None = None,
) -> Build:
    return Build(
        lake=ledger.lake, ledger=ledger, asset=asset, partition=partition, code_version="kernel.1", config=config or {},
        run_id="", inputs=tuple(one.as_input() for one in inputs), partitioned_by="delivery" if partition else None,
    )  # fmt: skip


@pytest.fixture
def facts(home: Path, mixture: StoredRecord) -> MixtureFacts:
    return mixture_facts(LineageLedger(Lake(home)), mixture)


def rows_below(card: str, heading: str) -> list[list[str]]:
    section = card.split(f"## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_card_counts_documents_copies_and_tokens_of_each_delivery_with_its_licence(
    facts: MixtureFacts,
) -> None:
    assert rows_below(dataset_card(facts), "Sources and licences") == [
        ["qa", "faq", "qa ltd", "2024-06-01", "3", "6", "60", "CC-BY-4.0", "2030-01-01", ""],
        ["wiki", "dump", "wiki ltd", "2024-06-01", "1", "2", "20", "LicenseRef-Vendor", "2030-01-01", ""],
    ]


def test_the_card_has_the_funnel_in_the_order_of_the_stages(facts: MixtureFacts) -> None:
    funnel = rows_below(dataset_card(facts), "Funnel")
    assert [row[1] for row in funnel] == ["raw", "filtered", "tagged"] * 2
    assert funnel[1] == ["qa", "filtered", "4", "3", "1", "cond_check_short_line 1"]


def test_the_card_says_which_rules_were_in_force(facts: MixtureFacts) -> None:
    assert ["cond_check_short_line", "< 0.5", "menus"] in rows_below(dataset_card(facts), "Rules")
    assert "stopwords" not in dataset_card(facts)


def test_what_stands_in_front_of_the_card_is_read_by_machines(facts: MixtureFacts) -> None:
    front = yaml.safe_load(dataset_card(facts).split("---\n")[1])
    assert front["license"] == "other"
    assert front["license_name"] == "CC-BY-4.0 AND LicenseRef-Vendor"
    assert (front["language"], front["size_categories"]) == (["zh"], ["n<1K"])


def test_croissants_own_library_finds_nothing_wrong_and_reads_every_document(
    home: Path, mixture: StoredRecord, tmp_path: Path
) -> None:
    write_card(LineageLedger(Lake(home)), mixture, tmp_path / "card")
    dataset = mlcroissant.Dataset(jsonld=str(tmp_path / "card" / CROISSANT))
    issues = dataset.metadata.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    assert dataset.metadata.license == ["https://spdx.org/licenses/CC-BY-4.0.html", "LicenseRef-Vendor"]
    sets = [record_set.id for record_set in dataset.metadata.record_sets]
    read = [record[f"{one}/doc_id"].decode() for one in sets for record in dataset.records(one)]
    assert sorted(read) == ["qa1", "qa2", "qa3", "wiki1"]
    assert (tmp_path / "card" / CARD).read_text("utf-8").startswith("---\npretty_name: Mixture v2.1\n")


def test_the_command_prints_the_card_of_any_version(mixture: StoredRecord) -> None:
    runner = click.testing.CliRunner()
    card = runner.invoke(main, ["mixture", "card", "v2.1", "--made", mixture.record.data_version[:8]])
    assert "# Mixture v2.1" in card.output
    found = json.loads(runner.invoke(main, ["mixture", "card", "v2.1", "--croissant"]).output)
    assert found["version"] == f"2.1.{mixture.storage_version}"
    assert "has no version" in runner.invoke(main, ["mixture", "card", "v2.1", "--made", "nothing"]).output
