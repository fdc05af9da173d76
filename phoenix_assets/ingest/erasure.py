"""Tombstones: what was erased of a delivery, and how it is withheld from what is read of it.

A tombstone names documents, or a delivery as a whole, and says why, who and when. Of the text it holds hashes alone, with
a salt: enough to know it again when it is delivered once more, or lies where it should not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl
import xxhash

from phoenix_assets.ingest.delivery import DeliveryManifest, DeliveryRejected
from phoenix_assets.schema import RejectReason, StageOutput, document_id

KERNEL_VERSION: Final = "1"

TOMBSTONE: Final = pl.Schema(
    {
        "erasure": pl.String(),  # what was erased by one order has one id
        "source": pl.String(),
        "delivery": pl.String(),
        "doc_id": pl.String(),  # null: the delivery as a whole
        "reason": pl.String(),
        "ordered_by": pl.String(),
        "at": pl.String(),  # ISO 8601, UTC
        "salt": pl.Int64(),  # not negative; the same for all tombstones of a delivery
        "text_hash": pl.String(),  # xxh3-128 of the text with the salt; null for a delivery
        "prints": pl.List(pl.Int64()),  # hashes of windows of the text, with the salt, ascending
        "files": pl.List(pl.String()),  # SHA-256 of the delivered files; null for a document
    }
)
_NOTHING: Final = pl.lit(False)


@dataclass(frozen=True)
class Refusals:
    """What may not be delivered again: deliveries by name (source, delivery) and files by SHA-256, each with the reason."""

    names: Mapping[tuple[str, str], str]
    files: Mapping[str, str]

    def check(self, manifest: DeliveryManifest) -> None:
        """Raise DeliveryRejected for a delivery that was erased, under its name or with one of its files."""
        if why := self.names.get((manifest.source, manifest.delivery)):
            raise DeliveryRejected(RejectReason.ERASED, f"{why}; deliver what may be used under another name")
        for file in manifest.files:
            if why := self.files.get(file.sha256):
                raise DeliveryRejected(
                    RejectReason.ERASED,
                    f"{file.path} is a file of a delivery that may not be used ({why}); deliver the others without it",
                    file.path,
                )


def text_hashes(texts: pl.Series, salt: int) -> list[str]:
    """Return the salted hash of each text of a String column."""
    return [xxhash.xxh3_128_hexdigest(text, seed=salt) for text in texts.cast(pl.Binary)]


def is_whole(tombstones: pl.DataFrame) -> bool:
    """Return whether TOMBSTONE rows of one delivery erase all of it."""
    return tombstones["doc_id"].null_count() > 0


def withhold(output: StageOutput, tombstones: pl.DataFrame) -> StageOutput:
    """Return what was read of a delivery without what its TOMBSTONE rows erase.

    Documents go by their id, or when they are the same text under another one. In the ledger they are drops for the
    reason `erased`; of quarantined records nothing is left.
    """
    if tombstones.is_empty():
        return output
    whole = is_whole(tombstones)
    erased = tombstones["doc_id"].drop_nulls()
    if not whole and output.documents.height:
        hashes = pl.Series(text_hashes(output.documents["text"], tombstones["salt"][0]))
        again = output.documents["doc_id"].filter(
            hashes.is_in(tombstones["text_hash"].drop_nulls().implode())
        )
        erased = pl.concat([erased, again])
    is_erased = pl.lit(whole) | pl.col("doc_id").is_in(erased.implode())
    ledger = output.ledger.with_columns(
        kept=pl.col("kept") & ~is_erased,
        drop_reason=pl.when(is_erased).then(pl.lit(RejectReason.ERASED.value)).otherwise("drop_reason"),
        chars_out=pl.when(is_erased).then(0).otherwise("chars_out"),
    )
    quarantine = output.quarantine.filter(
        _NOTHING if whole else ~quarantined_ids(output.quarantine).is_in(erased.implode())
    )
    return StageOutput(output.documents.filter(~is_erased), ledger, quarantine, output.counts)


def quarantined_ids(quarantine: pl.DataFrame) -> pl.Series:
    """Return the id that each quarantined record would have as a document."""
    places = quarantine.select("source", "delivery", "file", "locator").iter_rows()
    ids = [document_id(source, delivery, f"{file}#{locator}") for source, delivery, file, locator in places]
    return pl.Series("doc_id", ids, dtype=pl.String)
