"""Our hot kernels one by one, over ready arrays; `bench/ours/kernels_c.py` does the same in C."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numba import njit

from bench.documents import read_texts
from phoenix_assets.clean.buffers import Codepoints, codepoints
from phoenix_assets.clean.character_rules import character_statistics
from phoenix_assets.clean.ngrams import repeated_ngrams, scratch
from phoenix_assets.clean.profiles import FunnelParameters, load_profile
from phoenix_assets.clean.repetition import character_repetition
from phoenix_assets.clean.word_hashes import word_hashes


@dataclass(frozen=True)
class Inputs:
    """Code points and word hashes of the texts, each with an offset per text; the parameters of the rules."""

    texts: Codepoints
    words: Any
    word_offsets: Any
    parameters: FunnelParameters


def inputs(params: dict[str, Any]) -> Inputs:
    """Read the documents, decode them and hash their words."""
    read = read_texts(params["documents"], params["lang"])
    texts = codepoints(pl.Series(read))
    words = word_hashes(texts, pl.Series([params["lang"]]).new_from_index(0, len(read)))
    offsets = np.concatenate([[0], np.cumsum([len(found) for found in words])]).astype(np.int64)
    return Inputs(texts, np.concatenate(words), offsets, load_profile("default").parameters)


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Make the inputs and compile the kernel."""
    state = {"inputs": inputs(params), "kernel": KERNELS[params["kernel"]]}
    run(state)
    return state


def run(state: dict[str, Any]) -> list[Any]:
    """Return the kernel's values, an array for each of its rules."""
    values: list[Any] = state["kernel"](state["inputs"])
    return values


def report(state: dict[str, Any], result: list[Any]) -> dict[str, Any]:
    """Return all values."""
    return {"documents": len(result[0]), "values": [values.tolist() for values in result]}


def _characters(given: Inputs) -> list[Any]:
    counted = character_statistics(given.texts, given.parameters.short_line_characters)
    return [counted[name].to_numpy() for name in ("special_characters", "short_lines")]


def _character_repetition(given: Inputs) -> list[Any]:
    return [character_repetition(given.texts, given.parameters.character_ngram).to_numpy()]


def _word_repetition(given: Inputs) -> list[Any]:
    ratios = np.zeros(len(given.word_offsets) - 1, np.float64)
    counting = scratch(given.texts.longest).arrays()
    _repeat_words(given.word_offsets, given.words, given.parameters.word_ngram, counting, ratios)
    return [ratios]


@njit(nogil=True)
def _repeat_words(offsets: Any, words: Any, ngram: int, counting: Any, ratios: Any) -> None:
    for row in range(len(offsets) - 1):
        total = offsets[row + 1] - offsets[row] - ngram + 1
        if total > 0:
            _, repeated = repeated_ngrams(words, offsets[row], total, ngram, *counting)
            ratios[row] = counting[-1][:repeated].sum() / total


KERNELS = {
    "special characters and short lines": _characters,
    "character repetition": _character_repetition,
    "word repetition": _word_repetition,
}
