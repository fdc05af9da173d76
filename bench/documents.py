"""The benchmark's documents as both environments read them (pyarrow only).

`documents.parquet` has `id`, `lang`, `text`, `near_duplicate_of`, `jaccard`: the last two are null for a
document as it was found, and for an injected near duplicate name the document that it was made from and the
exact Jaccard similarity of their shingle sets. See `bench/corpus.py` for where they come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq


@dataclass(frozen=True)
class Documents:
    """Documents of one language; `pairs` are positions of an original and its near duplicate."""

    texts: list[str]
    pairs: list[tuple[int, int]]
    jaccard: list[float]


def read_texts(path: str, lang: str) -> list[str]:
    """Return the texts of the documents of a language."""
    return read(path, lang).texts


def read(path: str, lang: str) -> Documents:
    """Return the documents of a language. Raises ValueError when there is none."""
    table = pq.read_table(Path(path))
    table = table.filter(pc.equal(table["lang"], lang))
    if table.num_rows == 0:
        raise ValueError(f"{path}: no document with lang = {lang!r}")
    position = {number: row for row, number in enumerate(table["id"].to_pylist())}
    pairs, jaccard = [], []
    rows = zip(
        table["id"].to_pylist(),
        table["near_duplicate_of"].to_pylist(),
        table["jaccard"].to_pylist(),
        strict=True,
    )
    for number, original, similarity in rows:
        if original is not None:
            pairs.append((position[original], position[number]))
            jaccard.append(similarity)
    return Documents(texts=table["text"].to_pylist(), pairs=pairs, jaccard=jaccard)


def megabytes(texts: Sequence[str]) -> float:
    """Return the size of texts in UTF-8, in MB."""
    return sum(len(text.encode()) for text in texts) / 1e6


def recall(labels: Sequence[int], documents: Documents, *, at_least: float) -> float:
    """Return the share of injected pairs, of those with a similarity of `at_least`, of which not both are kept.

    `labels` has for each document the position of the one that is kept for it. Raises ValueError when no pair is that
    similar.
    """
    found = [
        labels[original] != original or labels[copy] != copy
        for (original, copy), similarity in zip(documents.pairs, documents.jaccard, strict=True)
        if similarity >= at_least
    ]
    if not found:
        raise ValueError(f"no injected pair has a Jaccard similarity of {at_least} or more")
    return sum(found) / len(found)
