"""The documents that deduplication is measured on: many short ones of real text, and near duplicates of a tenth.

A document is a run of consecutive lines of a found text, ended by the line that gives it `TOKENS` tokens or more (about
0.5 kB of Chinese, 1 kB of English); no two overlap. Text is that of `bench/corpus.py` and of the archives in `bench/near_texts.yaml`, fetched once and cached beside
the sample corpus's.

A near duplicate is a document in which a known share of the tokens is exchanged for others of it, or left out, in turn.
Its exact Jaccard similarity to the original is stored beside it. Manuals, laws and reviews have near duplicates of their
own, which nobody lists: `bench/truth.py` recomputes the similarity of whatever a program reports.
"""

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from bench import corpus, shingles
from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.ingest.sample.archives import fetch, read_members
from phoenix_assets.ingest.sample.config import Archive, SampleConfig

TEXTS: Final = Path(__file__).with_name("near_texts.yaml")
TOKENS: Final = 140  # characters of Chinese, words of other text, taken as LETTERS bytes each
LETTERS: Final = 6
MOST_BYTES: Final = 4000  # of a line
COPIED: Final = 10  # every tenth document has a near duplicate
RATES: Final = (0.003, 0.006, 0.01, 0.015, 0.02, 0.03)  # shares of tokens, in turn
SHARD: Final = 1000  # documents of a row group
Form = Literal["plain", "html", "tagged", "articles"]
_TAG = re.compile(r"/[A-Za-z]+ *")


class Texts(Config):
    """One entry of `bench/near_texts.yaml`."""

    form: Form
    archive: Archive
    package: str | None = None  # where it is not the entry's name


class NearTexts(Config):
    """What `bench/near_texts.yaml` says."""

    texts: dict[str, Texts]


@dataclass(frozen=True)
class NearCorpus:
    """The file of documents and how many there are of each language, without injected near duplicates."""

    documents: Path
    counts: dict[str, int]


def build(home: Path, folder: Path, *, per_language: int, shingle: int) -> NearCorpus:
    """Write the documents in a random but fixed order, all languages mixed, unless they are there. Raises ArchiveError."""
    found = documents(home)
    chosen = {lang: sorted(texts)[:per_language] for lang, texts in found.items()}
    mark = hashlib.blake2b(repr((RATES, COPIED, SHARD, shingle)).encode(), digest_size=8)
    for keys in chosen.values():
        mark.update(b"".join(keys))
    path = folder / f"near-{mark.hexdigest()}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        originals = [(key, lang, found[lang][key]) for lang, keys in chosen.items() for key in keys]
        corpus.write(
            with_near_duplicates(originals, shingle), partial := path.with_suffix(".partial"), shard=SHARD
        )
        partial.replace(path)
    return NearCorpus(path, {lang: len(keys) for lang, keys in chosen.items()})


def documents(home: Path) -> dict[str, dict[bytes, str]]:
    """Return the different documents of each language by the hash of their text."""
    found: dict[str, dict[bytes, str]] = {"en": {}, "zh": {}}
    for text in (*corpus.texts_of(home), *_archived(home / "cache" / "archives")):
        for document in pieces(text):
            lang = corpus.language(document)
            if lang is not None:
                found[lang][_key(document)] = document
    return found


def pieces(text: str) -> Iterator[str]:
    """Cut a text between lines into documents; what is too short at its end is left out, and so are endless lines."""
    lines: list[str] = []
    tokens = 0.0
    for line in map(str.strip, text.splitlines()):
        length = len(line.encode())
        if 0 < length <= MOST_BYTES:
            lines.append(line)
            tokens += estimated_tokens(len(line), length)
        if tokens >= TOKENS:
            yield "\n".join(lines)
            lines, tokens = [], 0.0


def estimated_tokens(characters: int, length: int) -> float:
    """Return about how many tokens a text of that many characters and UTF-8 bytes has: a Chinese one has three bytes."""
    chinese = (length - characters) / 2
    return chinese + (characters - chinese) / LETTERS


def with_near_duplicates(originals: list[tuple[bytes, str, str]], shingle: int) -> list[corpus.Row]:
    """Return documents (key, lang, text) and their near duplicates as rows, ordered by the hash of their texts."""
    generator = np.random.default_rng(1)
    mixed: list[tuple[bytes, str, str, bytes | None, float | None]] = []
    for place, (key, lang, text) in enumerate(originals):
        mixed.append((key, lang, text, None, None))
        if place % COPIED == 0:
            turn = place // COPIED
            edit = (exchange, leave_out)[turn % 2]
            copy = edit(text, RATES[turn // 2 % len(RATES)], generator)
            both = (shingles.of_tokens(one, shingle) for one in (text, copy))
            mixed.append((_key(copy), lang, copy, key, shingles.jaccard(*both)))
    mixed.sort(key=lambda row: row[0])
    number = {row[0]: place for place, row in enumerate(mixed)}
    return [
        (place, lang, text, None if original is None else number[original], jaccard)
        for place, (_, lang, text, original, jaccard) in enumerate(mixed)
    ]


def exchange(text: str, rate: float, generator: np.random.Generator) -> str:
    """Put other tokens of the text in the place of a share `rate` of its tokens (at least one)."""
    spans = [match.span() for match in shingles.TOKEN.finditer(text)]
    count = min(len(spans), max(1, round(rate * len(spans))))
    chosen = sorted(generator.choice(len(spans), size=count, replace=False))
    parts, done = [], 0
    for place, other in zip(chosen, generator.integers(len(spans), size=count), strict=True):
        start, end = spans[place]
        parts += [text[done:start], text[slice(*spans[other])]]
        done = end
    return "".join([*parts, text[done:]])


def leave_out(text: str, rate: float, generator: np.random.Generator) -> str:
    """Leave a share `rate` of the tokens out (at least one)."""
    spans = [match.span() for match in shingles.TOKEN.finditer(text)]
    count = min(len(spans), max(1, round(rate * len(spans))))
    parts, done = [], 0
    for place in sorted(generator.choice(len(spans), size=count, replace=False)):
        start, end = spans[place]
        parts.append(text[done:start])
        done = end
    return "".join([*parts, text[done:]])


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _archived(cache: Path) -> Iterator[str]:
    limit_s = load(SampleConfig, config_dir() / "sample.yaml").download_seconds
    for name, one in load(NearTexts, TEXTS).texts.items():
        fetched = fetch(one.package or name, one.archive, cache, print, limit_s)
        for content in read_members(fetched, one.archive).values():
            yield _FORMS[one.form](content)


def _html(content: bytes) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return str(extract_plain_text(content.decode("utf-8", "replace")))


def _articles(content: bytes) -> str:
    with sqlite3.connect(":memory:") as connection:
        connection.deserialize(content)
        rows = connection.execute("select article_text from articles order by id").fetchall()
    return "\n".join(text for (text,) in rows)


_FORMS: Final[dict[Form, Callable[[bytes], str]]] = {
    "plain": lambda content: content.decode("utf-8", "replace"),
    "html": _html,
    "tagged": lambda content: _TAG.sub("", content.decode("utf-8", "replace")),
    "articles": _articles,
}
