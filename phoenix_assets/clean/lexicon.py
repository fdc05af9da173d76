"""Word lists as hash tables.

A phrase's hash extends the hash of its first words by the next word's. A language's table knows for a hash whether it
is a stop word, a flagged word or phrase, or the beginning of a flagged phrase, so phrases are found by walking on
while the beginning is known.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from phoenix_assets.clean.buffers import Hashes, Ints, codepoints
from phoenix_assets.clean.word_hashes import extend, word_hashes
from phoenix_assets.clean.words import FLAGGED, FLAGGED_PREFIX, KIND_BITS, STOPWORD, Lexicon

KERNEL_VERSION: Final = "2"


def build_lexicon(
    stopwords: Mapping[str, Collection[str]], flagged: Mapping[str, Collection[str]]
) -> Lexicon:
    """Hash the word lists of each language. Phrases are cut into words as texts are."""
    tables: list[dict[int, int]] = []
    languages = sorted({*stopwords, *flagged})
    longest = 1
    for lang in languages:
        table: dict[int, int] = {}
        for phrase in _phrase_hashes(lang, stopwords.get(lang, ())):
            if len(phrase) == 1:
                table[phrase[0]] = table.get(phrase[0], 0) | STOPWORD
        for phrase in _phrase_hashes(lang, flagged.get(lang, ())):
            longest = max(longest, len(phrase))
            key = 0
            for position, word in enumerate(phrase):
                key = int(extend(np.uint64(key), np.uint64(word))) if position else word
                table[key] = table.get(key, 0) | (FLAGGED if position == len(phrase) - 1 else FLAGGED_PREFIX)
        tables.append(table)
    starts, entries = _open_tables(tables)
    return Lexicon(
        languages={lang: i for i, lang in enumerate(languages)},
        starts=starts,
        entries=entries,
        longest_phrase=longest,
        has_stopwords=frozenset(lang for lang in languages if stopwords.get(lang)),
        has_flagged=frozenset(lang for lang in languages if flagged.get(lang)),
    )


def _phrase_hashes(lang: str, phrases: Collection[str]) -> list[tuple[int, ...]]:
    texts = codepoints(pl.Series(sorted(phrases), dtype=pl.String))
    rows = word_hashes(texts, pl.Series([lang], dtype=pl.String).new_from_index(0, len(texts)))
    return [tuple(int(word) for word in row) for row in rows if len(row)]


def _open_tables(tables: Sequence[Mapping[int, int]]) -> tuple[Ints, Hashes]:
    sizes = [1 << max(4, (8 * len(table)).bit_length()) for table in tables]
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
    entries = np.zeros(int(starts[-1]), np.uint64)
    for start, size, table in zip(starts[:-1], sizes, tables, strict=True):
        for key, kind in sorted(table.items()):
            slot = (key >> 3) & (size - 1)
            while entries[start + slot]:
                slot = (slot + 1) & (size - 1)
            entries[start + slot] = key & ~KIND_BITS | kind
    return starts, entries
