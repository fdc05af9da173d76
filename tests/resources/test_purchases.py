"""`phoenix deliveries`: what has come, what became of it, and where it is used; from the lineage records alone."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from phoenix_assets.cli import main
from phoenix_assets.ingest.landing import Arrival, Standing
from phoenix_assets.lineage import InputVersion, LicenceTerms, StoredRecord
from phoenix_assets.schema import RejectReason
from resources.build import Build
from resources.lake import Lake
from resources.landing_register import LandingRegister
from resources.ledger import LineageLedger
from resources.purchases import State, purchases
from resources.quarantine import quarantine_deliveries

CHAIN = ("extracted", "normalized", "filtered", "deduped", "tagged")
MANIFESTS = {name: f"manifest of {name}" for name in ("d1", "d2")}


def make(
    ledger: LineageLedger,
    asset: str,
    partition: str = "",
    *inputs: InputVersion,
    value: int = 1,
    config: dict[str, str] | None = None,
    licences: tuple[LicenceTerms, ...] | None = None,
    **counts: int,
) -> StoredRecord:
    build = Build(
        lake=ledger.lake, ledger=ledger, asset=asset, partition=partition, code_version="1", config=config or {},
        run_id="r", inputs=inputs, partitioned_by="delivery" if partition else None,
    )  # fmt: skip
    build.started = "2024-06-01T00:00:00.000+00:00"
    frame = pl.DataFrame({"value": [value]})
    return build.commit(
        frame.schema, [build.stage(frame)], counts={"rows_out": 1, **counts}, licences=licences
    )


def chain(ledger: LineageLedger, delivery: str) -> StoredRecord:
    terms = LicenceTerms(
        source="qa", delivery=delivery, licence="CC-BY-4.0", expires="2027-01-31", allows=("pretraining",)
    )
    promised = {"vendor": "a vendor", "received": "2024-08-01", "manifest_sha256": MANIFESTS[delivery]}
    stored = make(ledger, "qa/raw", delivery, config=promised, licences=(terms,), bytes=1000)
    for number, stage in enumerate(CHAIN):
        stored = make(ledger, f"qa/{stage}", delivery, stored.as_input(), text_bytes=900 - 100 * number)
    return stored


@pytest.fixture
def ledger(tmp_path: Path) -> LineageLedger:
    """Two deliveries; both were trained on, and the newest mixture holds one of them."""
    ledger = LineageLedger(Lake(tmp_path))
    first, second = chain(ledger, "d1"), chain(ledger, "d2")
    for inputs in ((first, second), (first,)):
        mix = make(ledger, "mix/v1", "", *(one.as_input() for one in inputs), value=len(inputs))
        tokens = make(ledger, "tokens/v1", "", mix.as_input(), value=len(inputs))
        if len(inputs) == 2:
            make(ledger, "train/demo", "", tokens.as_input())
    return ledger


def states(ledger: LineageLedger) -> dict[str, tuple[State, str]]:
    return {row["delivery"]: (row["state"], row["why"]) for row in purchases(ledger.lake, ledger)}


def test_a_delivery_says_whose_it_is_what_became_of_it_and_where_it_is_used(ledger: LineageLedger) -> None:
    first, second = purchases(ledger.lake, ledger)
    assert {name: first[name] for name in ("source", "delivery", "vendor", "received", "licence", "expires")} == {
        "source": "qa", "delivery": "d1", "vendor": "a vendor", "received": "2024-08-01", "licence": "CC-BY-4.0",
        "expires": "2027-01-31",
    }  # fmt: skip
    assert (first["state"], first["files"], first["bytes"]) == (State.TAKEN, 1, 1000)
    assert first["stages"] == {
        stage: {"documents": 1, "text_bytes": 900 - 100 * number} for number, stage in enumerate(CHAIN)
    }
    assert (first["mixtures"], first["runs"]) == (["v1"], ["demo"])
    assert (second["mixtures"], second["runs"]) == ([], ["demo"])


def test_cost_is_the_time_and_the_bytes_of_every_stage(ledger: LineageLedger) -> None:
    first, _ = purchases(ledger.lake, ledger)
    records = [ledger.head(f"qa/{stage}", "d1").record for stage in ("raw", *CHAIN)]
    assert first["cost"]["stored_bytes"] == sum(record.counts["stored_bytes"] for record in records)
    assert first["cost"]["seconds"] > 6 * 365 * 86400  # each began in 2024


def test_one_source_alone_is_listed_when_asked_for(ledger: LineageLedger) -> None:
    make(ledger, "book/raw", "b1")
    assert [row["delivery"] for row in purchases(ledger.lake, ledger, "book")] == ["b1"]
    assert len(purchases(ledger.lake, ledger)) == 3


def test_a_delivery_one_of_whose_stages_is_behind_is_stale(ledger: LineageLedger) -> None:
    make(ledger, "qa/normalized", "d2", ledger.head("qa/extracted", "d2").as_input(), value=2)
    assert states(ledger) == {"d1": (State.TAKEN, ""), "d2": (State.STALE, "an input is newer")}


def arrival(delivery: str, standing: Standing, **values: str | RejectReason) -> Arrival:
    return Arrival("qa", delivery, "fingerprint", standing, **values)  # type: ignore[arg-type]


def test_what_has_landed_waits_is_quarantined_or_was_delivered_anew(ledger: LineageLedger) -> None:
    register = LandingRegister(ledger.lake.home)
    bad = arrival("d5", Standing.REJECTED, reason=RejectReason.BAD_MANIFEST, detail="no vendor")
    register.note(
        [
            arrival("d1", Standing.READY, manifest=MANIFESTS["d1"]),
            arrival("d2", Standing.READY, manifest="another manifest"),
            arrival("d3", Standing.READY, manifest="a new manifest"),
            arrival("d4", Standing.WAITS, detail="a.txt: not complete yet"),
            bad,
        ],
        "rules",
    )
    quarantine_deliveries(ledger.lake, [bad])
    expected = {
        "d1": (State.TAKEN, ""),
        "d2": (State.STALE, "delivered anew"),
        "d3": (State.WAITING, "not registered yet"),
        "d4": (State.WAITING, "a.txt: not complete yet"),
        "d5": (State.QUARANTINED, "bad_manifest: no vendor"),
    }
    assert states(ledger) == expected
    (ledger.lake.home / "operations.sqlite").unlink()
    assert states(ledger)["d5"] == expected["d5"]  # also where nobody has looked since


def test_the_command_prints_it_for_people_and_for_programs(
    ledger: LineageLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOENIX_HOME", str(ledger.lake.home))
    said = CliRunner().invoke(main, ["deliveries", "--source", "qa"]).output
    assert said.splitlines()[:3] == [
        "qa/d1: taken",
        "    from a vendor, received 2024-08-01, CC-BY-4.0, until 2027-01-31",
        "    1 file 0.0 MB → extracted 1 (300 tokens) → normalized 1 (267 tokens) → filtered 1 (233 tokens)"
        " → deduped 1 (200 tokens) → tagged 1 (167 tokens)",
    ]
    found = json.loads(CliRunner().invoke(main, ["deliveries", "--json"]).output)
    assert [row["delivery"] for row in found] == ["d1", "d2"]
    assert found[0]["stages"]["tagged"] == {"documents": 1, "text_bytes": 500, "est_tokens": 167}
    refused = CliRunner().invoke(main, ["deliveries", "--source", "gossip"])
    assert refused.exit_code == 1
    assert "no source 'gossip'" in refused.output
