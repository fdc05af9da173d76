"""Tombstones in a lake: who reads them, what follows from the version before, what is refused and withdrawn."""

from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.errors import Withdrawn
from phoenix_assets.ingest.erasure import TOMBSTONE, text_hashes
from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.mix.config import load_mixture
from phoenix_assets.schema import DOCUMENT, StageOutput, ledger_rows
from phoenix_assets.tag.stages import TAGGED
from resources.build import Build
from resources.erasures import (
    CarryOver,
    cannot_be_read_again,
    carried_over,
    erased_key,
    holding_erased,
    order,
    refusals,
    seen_by_run,
    tombstone_inputs,
    tombstones,
)
from resources.frozen import freeze, require_sound
from resources.lake import Lake
from resources.ledger import LineageLedger
from resources.shard_work import shard_work

TEXTS = ("天下大势", "分久必合", "合久必分")
SALT = 3


@pytest.fixture
def ledger(tmp_path: Path) -> LineageLedger:
    return LineageLedger(Lake(tmp_path))


def build(ledger: LineageLedger, asset: str, delivery: str, *, code: str = "1", inputs=()) -> Build:
    return Build(ledger.lake, ledger, asset, delivery, code, {}, "run", tuple(inputs))


def register(ledger: LineageLedger, delivery: str, content: str = "1") -> StoredRecord:
    return build(ledger, "cc/raw", delivery).commit_frame(pl.DataFrame({"file": ["f"], "sha256": [content]}))


def extract(ledger: LineageLedger, delivery: str, *, code: str = "1") -> StoredRecord:
    """Extract the delivery as the asset does: from the version before if it follows from that, else from TEXTS."""
    raw = ledger.resolve("cc/raw", delivery)
    inputs = [raw, *tombstone_inputs(ledger, "cc", delivery)]
    made = build(ledger, "cc/extracted", delivery, code=code, inputs=inputs)
    carried = carried_over(made, tombstones(made), ledger.lake.home / "landing" / "cc" / delivery)
    if carried is not None:
        work = shard_work(made, CarryOver(tombstones(made)))
        return made.commit_shards(DOCUMENT, [work(item) for item in carried])
    rows = [
        {"doc_id": doc_id(number), "source": "cc", "delivery": delivery, "text": text, "meta": "{}"}
        for number, text in enumerate(TEXTS)
    ]
    documents = pl.DataFrame(rows, schema=DOCUMENT)
    read = shard_work(made, lambda _: [StageOutput(documents, ledger_rows(documents, "extracted"))])
    return made.commit_shards(DOCUMENT, [read(None)])


def doc_id(number: int) -> str:
    return f"{number:032x}"


def erase(ledger: LineageLedger, delivery: str, number: int | None, files: list[str] | None = None) -> None:
    row = {
        "erasure": "e1", "source": "cc", "delivery": delivery, "reason": "a person asked", "ordered_by": "somebody",
        "at": "2026-11-25T12:00:00+00:00", "salt": SALT, "files": files, "prints": [],
        "doc_id": None if number is None else doc_id(number),
        "text_hash": None if number is None else text_hashes(pl.Series([TEXTS[number]]), SALT)[0],
    }  # fmt: skip
    order(ledger, pl.DataFrame([row], schema=TOMBSTONE), "")


def texts(ledger: LineageLedger, stored: StoredRecord) -> list[str]:
    return sorted(ledger.lake.read(stored.as_input()).collect()["text"])


def test_only_the_delivery_that_was_erased_from_reads_tombstones(ledger) -> None:
    for delivery in ("a", "b"):
        register(ledger, delivery)
    erase(ledger, "a", 0)
    assert [one.asset for one in tombstone_inputs(ledger, "cc", "a")] == [erased_key("cc")]
    assert tombstone_inputs(ledger, "cc", "b") == tombstone_inputs(ledger, "qa", "a") == []


def test_a_later_tombstone_stands_beside_the_earlier_ones(ledger) -> None:
    erase(ledger, "a", 0)
    first = tombstone_inputs(ledger, "cc", "a")
    erase(ledger, "a", 1)
    assert tombstone_inputs(ledger, "cc", "a") != first
    rows = ledger.lake.read(tombstone_inputs(ledger, "cc", "a")[0]).collect()
    assert rows["doc_id"].to_list() == [doc_id(0), doc_id(1)]


def test_what_is_left_follows_from_the_version_before_without_the_delivered_files(ledger) -> None:
    register(ledger, "a")
    before = extract(ledger, "a")
    erase(ledger, "a", 1)
    after = extract(ledger, "a")
    assert texts(ledger, after) == sorted([TEXTS[0], TEXTS[2]])
    assert after.record.counts["rows_in"] == before.record.counts["rows_in"] == 3
    assert after.record.reasons == {"erased": 1}
    assert {one.asset for one in after.record.inputs} == {"cc/raw", "cc/erased"}


@pytest.mark.parametrize("landed", [True, False])
def test_reading_the_files_again_or_carrying_over_gives_the_same(ledger, landed: bool) -> None:
    register(ledger, "a")
    extract(ledger, "a")
    erase(ledger, "a", 1)
    carried = extract(ledger, "a")
    if landed:
        (ledger.lake.home / "landing/cc/a").mkdir(parents=True)
    again = extract(ledger, "a") if not landed else None
    if again is not None:
        assert again.record.data_version == carried.record.data_version
    else:
        made = build(ledger, "cc/extracted", "a", inputs=carried.record.inputs)
        assert carried_over(made, tombstones(made), ledger.lake.home / "landing/cc/a") is None


def test_other_code_or_another_delivery_is_read_anew_but_never_what_is_erased_as_a_whole(ledger) -> None:
    register(ledger, "a")
    extract(ledger, "a")
    erase(ledger, "a", 1)
    inputs = [ledger.resolve("cc/raw", "a"), *tombstone_inputs(ledger, "cc", "a")]
    changed = build(ledger, "cc/extracted", "a", code="2", inputs=inputs)
    landed = ledger.lake.home / "landing/cc/a"
    landed.mkdir(parents=True)
    assert carried_over(changed, tombstones(changed), landed) is None
    corrected = build(
        ledger, "cc/extracted", "a", inputs=[register(ledger, "a", "2").as_input(), *inputs[1:]]
    )
    assert carried_over(corrected, tombstones(corrected), landed) is None
    erase(ledger, "a", None)
    whole = build(
        ledger, "cc/extracted", "a", code="2", inputs=[inputs[0], *tombstone_inputs(ledger, "cc", "a")]
    )
    kinds = {item.kind for item in carried_over(whole, tombstones(whole), landed) or ()}
    assert kinds == {SideTable.LEDGER}


def test_what_cannot_be_read_again_stays_as_the_code_of_then_read_it(ledger) -> None:
    register(ledger, "a")
    before = extract(ledger, "a", code="1")
    erase(ledger, "a", 1)
    after = extract(ledger, "a", code="2")
    assert after.record.code_version == before.record.code_version == "1"
    assert texts(ledger, after) == sorted([TEXTS[0], TEXTS[2]])
    landing = ledger.lake.home / "landing"
    assert cannot_be_read_again(landing, after.record)
    (landing / "cc" / "a").mkdir(parents=True)
    assert not cannot_be_read_again(landing, after.record)
    assert not cannot_be_read_again(landing, ledger.head("cc/raw", "a").record)


def test_what_a_run_has_seen_stays_known_from_the_lake_alone(ledger) -> None:
    row = {"run": "train/demo", "tokens_seen": 5, "checkpoints": {"10": 5}}
    said = {"erasure": "e1", "reason": "a person asked", "mixtures": [], "runs": [row]}
    tombstone = {"erasure": "e1", "source": "cc", "delivery": "a", "doc_id": doc_id(0), "salt": SALT}
    order(ledger, pl.DataFrame([tombstone], schema=TOMBSTONE), "", said)
    erase(ledger, "a", 1)
    found = seen_by_run(LineageLedger(ledger.lake), "train/demo")
    assert found == [{"erasure": "e1", "reason": "a person asked", **row}]
    assert seen_by_run(ledger, "train/other") == []


def test_a_delivery_erased_as_a_whole_keeps_its_ledger_and_no_text(ledger) -> None:
    register(ledger, "a")
    extract(ledger, "a")
    erase(ledger, "a", None)
    after = extract(ledger, "a")
    assert after.record.counts["rows_out"] == 0
    assert after.record.reasons == {"erased": 3}


def test_deliveries_erased_as_a_whole_are_refused_by_name_and_by_their_files(ledger) -> None:
    assert refusals(ledger.lake).names == {}
    erase(ledger, "a", 0)
    assert refusals(ledger.lake).names == {}
    erase(ledger, "b", None, files=["f" * 64])
    found = refusals(ledger.lake)
    assert found.names == {("cc", "b"): "cc/b was erased on 2026-11-25: a person asked"}
    assert set(found.files) == {"f" * 64}


def tag(ledger: LineageLedger, delivery: str, *numbers: int) -> None:
    rows = [
        {"doc_id": doc_id(number), "source": "cc", "delivery": delivery, "text": TEXTS[number], "lang": "zh"}
        for number in numbers
    ]
    build(ledger, "cc/tagged", delivery).commit_frame(pl.DataFrame(rows, schema=TAGGED))


def test_a_frozen_mixture_that_holds_it_is_withdrawn_with_the_reason(ledger) -> None:
    tag(ledger, "a", 0, 1)
    tag(ledger, "b", 2)
    recipe = load_mixture("v1.1")
    frozen = freeze(ledger, recipe)
    erase(ledger, "b", 0)  # a document that the mixture's delivery does not hold
    require_sound(ledger, recipe.version)
    erase(ledger, "a", 1)
    tag(ledger, "a", 0)
    assert holding_erased(ledger, frozen.inputs) == {("cc/tagged", "a"): "2026-11-25: a person asked"}
    with pytest.raises(Withdrawn, match=r"cc/tagged\[a\] \(erased 2026-11-25: a person asked\)"):
        require_sound(ledger, recipe.version)


def test_what_was_made_without_it_holds_nothing_erased(ledger) -> None:
    tag(ledger, "a", 0)
    erase(ledger, "a", 1)
    assert holding_erased(ledger, [ledger.resolve("cc/tagged", "a")]) == {}
