"""Which documents of a dedup group a text is a copy of that nobody has delivered, found through the group's index."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from phoenix_assets.dedup import exact, minhash
from phoenix_assets.dedup.config import Granularity, GroupConfig, SignatureConfig
from phoenix_assets.dedup.granularity import bands, block, least
from phoenix_assets.dedup.index import Index, doc_ids
from phoenix_assets.dedup.matching import matches
from phoenix_assets.dedup.settle import budgets
from phoenix_assets.dedup.store import load
from phoenix_assets.lineage import UNPARTITIONED, StoredRecord
from resources.dedup_index import index_files, index_paths
from resources.lake import Lake
from resources.ledger import LineageLedger

_NOBODY = "0" * 32  # the doc_id of a text that nobody delivered


def _exact_print(text: pl.Series, _: SignatureConfig) -> pl.Series:
    return exact.exact_hash(text)


def _near_print(text: pl.Series, config: SignatureConfig) -> pl.Series:
    return minhash.to_binary(minhash.signatures(text, config))


_PRINTS: Final = {Granularity.EXACT: _exact_print, Granularity.NEAR: _near_print}


@dataclass(frozen=True)
class Lookalike:
    """A document that was kept and that a text is like; `duplicate` when the text would have been dropped for it."""

    doc_id: str
    group: str
    granularity: Granularity
    similarity: float  # share of places in which the prints agree: of an exact copy 1
    threshold: float
    duplicate: bool


def lookalikes(
    lake: Lake, ledger: LineageLedger, text: str, lang: str, *, at_least: float, count: int
) -> list[Lookalike]:
    """Return `count` documents that a text, as deduplication would see it, is like, in any group, most alike first.

    Nearly alike are those of similarity `at_least` or more that share a band with it, or stand for one that does.
    """
    found = [
        one
        for group, granularity, stored in _indexes(lake, ledger)
        for one in _alike(lake, stored, group, granularity, text, lang, at_least)
    ]
    exactly = {one.doc_id for one in found if one.granularity is Granularity.EXACT}
    nearly = [one for one in found if one.granularity is Granularity.EXACT or one.doc_id not in exactly]
    return sorted(nearly, key=lambda one: (one.granularity is Granularity.NEAR, -one.similarity, one.doc_id))[
        :count
    ]


def _indexes(lake: Lake, ledger: LineageLedger) -> Iterator[tuple[str, Granularity, StoredRecord]]:
    for name, heads in sorted(ledger.all_heads(lake.assets("dedup")).items()):
        _, group, level = name.split("/")
        if level in _PRINTS:
            yield group, Granularity(level), heads[UNPARTITIONED]


def _alike(
    lake: Lake,
    stored: StoredRecord,
    group: str,
    granularity: Granularity,
    text: str,
    lang: str,
    at_least: float,
) -> Iterator[Lookalike]:
    """Yield what a version of an index has; its own record says how prints and keys are made."""
    config = stored.record.config
    signature = SignatureConfig.model_validate(config["signature"])
    rules = GroupConfig.model_validate(config["group"])
    prints = _PRINTS[granularity](pl.Series([text]), signature)
    asked = pl.DataFrame({"doc_id": [_NOBODY], "lang": [lang], "delivery_number": [0]}).with_columns(
        print=prints
    )
    probe = block(asked, granularity, rules, signature)
    with tempfile.TemporaryDirectory() as folder:
        empty = Index(
            Path(folder), bands(granularity, rules), least(granularity, rules, signature), rules.compared, 0
        )
        paths = index_paths(lake, stored.record.asset, index_files(lake, stored))
        index = load(paths, lambda: empty).index
        if not index.segments:
            return
        wanted = min(index.least, max(1, round(at_least * probe.prints.shape[1])))
        budget = budgets(probe, rules.compared)
        _, survivors = matches(probe, index.segments, budget, least=wanted, threads=1)
        numbers = pl.Series(survivors).unique().sort().to_numpy()
        if not len(numbers):
            return
        agree = (index.gather("prints", numbers) == probe.prints).sum(axis=1)
        threshold = index.least / probe.prints.shape[1]
        for doc_id, equal in zip(doc_ids(index.gather("ids", numbers)), agree.tolist(), strict=True):
            share = equal / probe.prints.shape[1]
            yield Lookalike(doc_id, group, granularity, share, threshold, equal >= index.least)
