"""What a tombstone withholds: documents by id, the same text under another id, a delivery as a whole."""

from datetime import date

import polars as pl
import pytest

from phoenix_assets.ingest.delivery import DeliveredFile, DeliveryManifest, DeliveryRejected, Licence, Use
from phoenix_assets.ingest.erasure import TOMBSTONE, Refusals, text_hashes, withhold
from phoenix_assets.schema import (
    DOCUMENT,
    LEDGER,
    QUARANTINE,
    RejectReason,
    StageOutput,
    document_id,
    ledger_rows,
)

SALT = 7
TEXTS = ("天下大势，分久必合", "合久必分", "天下大势，分久必合")
REJECTED = document_id("cc", "a", "f.warc#9")


def output() -> StageOutput:
    documents = pl.DataFrame(
        [{"doc_id": f"{number:032x}", "source": "cc", "delivery": "a", "text": text} for number, text in enumerate(TEXTS)],
        schema=DOCUMENT,
    )  # fmt: skip
    lost = pl.DataFrame({"doc_id": [REJECTED], "delivery": ["a"], "text": [""], "reason": ["corrupt"]})
    ledger = [
        ledger_rows(documents, "extracted"),
        ledger_rows(lost, "extracted", kept=pl.lit(False), drop_reason=pl.col("reason")),
    ]
    quarantine = pl.DataFrame(
        [{"source": "cc", "delivery": "a", "file": "f.warc", "locator": "9", "payload": b"..."}],
        schema=QUARANTINE,
    )
    return StageOutput(documents, pl.concat(ledger).match_to_schema(LEDGER), quarantine)


def tombstone(doc_id: str | None, text: str | None = None) -> pl.DataFrame:
    hashes = text_hashes(pl.Series([text]), SALT) if text else [None]
    row = {"source": "cc", "delivery": "a", "doc_id": doc_id, "salt": SALT, "text_hash": hashes[0]}
    return pl.DataFrame([row], schema=TOMBSTONE)


def erased(found: StageOutput) -> set[str]:
    return set(found.ledger.filter(~pl.col("kept"), drop_reason="erased")["doc_id"])


def test_without_tombstones_everything_stays() -> None:
    read = output()
    assert withhold(read, TOMBSTONE.to_frame()) is read


def test_an_erased_document_is_a_drop_with_its_reason_and_rows_are_conserved() -> None:
    found = withhold(output(), tombstone(f"{1:032x}", TEXTS[1]))
    assert found.documents["doc_id"].to_list() == [f"{0:032x}", f"{2:032x}"]
    assert erased(found) == {f"{1:032x}"}
    assert found.ledger.height == output().ledger.height
    assert found.ledger.filter(doc_id=f"{1:032x}")["chars_out"].to_list() == [0]


def test_the_same_text_under_another_id_goes_with_it() -> None:
    found = withhold(output(), tombstone(f"{0:032x}", TEXTS[0]))
    assert found.documents["text"].to_list() == [TEXTS[1]]
    assert erased(found) == {f"{0:032x}", f"{2:032x}"}


def test_a_text_that_is_only_like_it_stays() -> None:
    assert withhold(output(), tombstone("f" * 32, TEXTS[0] + "。")).documents.height == 3


def test_of_an_erased_record_in_quarantine_nothing_is_left() -> None:
    found = withhold(output(), tombstone(REJECTED))
    assert found.quarantine.height == 0
    assert erased(found) == {REJECTED}
    assert withhold(output(), tombstone(f"{1:032x}", TEXTS[1])).quarantine.height == 1


def test_a_delivery_as_a_whole_leaves_the_ledger_alone() -> None:
    found = withhold(output(), tombstone(None))
    assert (found.documents.height, found.quarantine.height) == (0, 0)
    assert erased(found) == set(output().ledger["doc_id"])


def test_a_tombstone_holds_nothing_of_the_text() -> None:
    row = tombstone(f"{0:032x}", TEXTS[0]).row(0, named=True)
    assert not [value for value in row.values() if isinstance(value, str) and "天" in value]
    assert text_hashes(pl.Series([TEXTS[0]]), SALT) != text_hashes(pl.Series([TEXTS[0]]), SALT + 1)


@pytest.mark.parametrize(("delivery", "sha256"), [("a", "0" * 64), ("again", "f" * 64)])
def test_an_erased_delivery_is_refused_under_its_name_and_with_one_of_its_files(
    delivery: str, sha256: str
) -> None:
    refusals = Refusals(
        {("cc", "a"): "cc/a was erased on 2026-11-25: the licence ended"}, {"f" * 64: "cc/a was erased"}
    )
    manifest = DeliveryManifest(
        source="cc", delivery=delivery, vendor="a vendor", licence=Licence(id="CC-BY-4.0", allows=(Use.PRETRAINING,)),
        received=date(2024, 8, 1), format="warc", files=(DeliveredFile(path="f.warc", bytes=1, sha256=sha256),),
    )  # fmt: skip
    with pytest.raises(DeliveryRejected, match="was erased") as refused:
        refusals.check(manifest)
    assert refused.value.reason is RejectReason.ERASED
    Refusals({}, {}).check(manifest)
