"""Texts cut by the rules of their source: the passages that are compared, and what is left without boilerplate."""

from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.dedup.passages.boilerplate import is_boilerplate
from phoenix_assets.dedup.passages.config import Passage, PassageRules, Unit
from phoenix_assets.dedup.passages.joining import without
from phoenix_assets.dedup.passages.split import Cut, Passages, split

KERNEL_VERSION: Final = "1"

_CUTS: Final = {Unit.LINE: Cut.LINES, Unit.BLOCK: Cut.BLOCKS}


def compared_passages(
    texts: pl.Series, passage: Passage, rules: PassageRules
) -> tuple[Passages, npt.NDArray[np.bool_]]:
    """Return the paragraphs or sentences of texts, and which of them are compared."""
    if passage is Passage.PARAGRAPH:
        paragraphs = rules.group.paragraphs
        found = split(texts, _CUTS[paragraphs.unit], zero_digits=paragraphs.zero_digits)
        compared = found.long_enough(paragraphs.at_least)
    else:
        sentences = rules.group.sentences
        found = split(texts, Cut.SENTENCES, zero_digits=sentences.zero_digits)
        compared = found.long_enough(sentences.at_least) & found.at_edges(sentences.head, sentences.tail)
    return found, compared & (not rules.exempt)


def without_boilerplate(texts: pl.Series, rules: PassageRules) -> pl.Series:
    """Return texts without the boilerplate at their ends."""
    edge = rules.group.boilerplate
    if not edge or rules.exempt:
        return texts
    lines = split(texts, Cut.LINES, zero_digits=False)
    return without(lines, is_boilerplate(lines, edge, rules.boilerplate))
