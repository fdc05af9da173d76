"""The loops of `bench/kernels.c` over the arrays that our kernels read."""

import ctypes
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.ours.kernels import Inputs, inputs
from phoenix_assets.clean.characters import class_table
from phoenix_assets.clean.ngrams import scratch

SOURCE = Path(__file__).resolve().parents[1] / "kernels.c"
COMPILE = ("gcc", "-O3", "-march=native", "-shared", "-fPIC")


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Make the inputs and compile the loops."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "kernels.so")
        subprocess.run([*COMPILE, str(SOURCE), "-o", str(library), "-lm"], check=True)
        loops = ctypes.CDLL(str(library))
    state = {"inputs": inputs(params), "kernel": KERNELS[params["kernel"]], "loops": loops}
    run(state)
    return state


def run(state: dict[str, Any]) -> list[Any]:
    """Return the kernel's values, an array for each of its rules."""
    values: list[Any] = state["kernel"](state["loops"], state["inputs"])
    return values


def report(state: dict[str, Any], result: list[Any]) -> dict[str, Any]:
    """Return all values."""
    return {"documents": len(result[0]), "values": [values.tolist() for values in result]}


def _characters(loops: Any, given: Inputs) -> list[Any]:
    texts, (special, short) = given.texts, np.zeros((2, len(given.texts)), np.float64)
    length = ctypes.c_int64(given.parameters.short_line_characters)
    texts_read = ctypes.c_int64(len(texts)), _at(texts.offsets), _at(texts.values)
    loops.characters(*texts_read, _at(class_table()), length, _at(special), _at(short))
    return [special, short]


def _character_repetition(loops: Any, given: Inputs) -> list[Any]:
    texts, ngram = given.texts, given.parameters.character_ngram
    return _repetition(loops.character_repetition, texts.offsets, texts.values, ngram, given.texts.longest)


def _word_repetition(loops: Any, given: Inputs) -> list[Any]:
    ngram = given.parameters.word_ngram
    return _repetition(loops.word_repetition, given.word_offsets, given.words, ngram, given.texts.longest)


def _repetition(loop: Any, offsets: Any, values: Any, ngram: int, longest: int) -> list[Any]:
    ratios = np.zeros(len(offsets) - 1, np.float64)
    memory = scratch(longest).arrays()
    room = (ctypes.c_void_p * len(memory))(*(array.ctypes.data for array in memory))
    loop(ctypes.c_int64(len(ratios)), _at(offsets), _at(values), ctypes.c_int64(ngram), room, _at(ratios))
    return [ratios]


def _at(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


KERNELS = {
    "special characters and short lines": _characters,
    "character repetition": _character_repetition,
    "word repetition": _word_repetition,
}
