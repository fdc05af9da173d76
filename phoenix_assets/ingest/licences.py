"""Which licence a repository, or a file of it, is under, as an SPDX identifier.

A file's own `SPDX-License-Identifier:` line comes first, else the licence files of the nearest folder above it. A licence
text is recognised by its likeness to the known texts (those that the package `identify` carries): the Sørensen-Dice
coefficient of the two sets of word pairs, as askalono measures it, after what varies from copy to copy (copyright lines,
title, punctuation) has gone. A text cannot tell "only this version" from "or later": `GPL-3.0` means either.
"""

import functools
import posixpath
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

from identify.vendor.licenses import LICENSES

KERNEL_VERSION: Final = "1"

UNRECOGNISED: Final = "NOASSERTION"  # SPDX: a licence is there, which one is not known
_FILE: Final = re.compile(
    r"(?:[\w-]+[-_.])?(?:un)?licen[cs]es?(?:[-_.][\w.+-]*)?|copying(?:[-_.][\w.+-]*)?", re.IGNORECASE
)
_PROSE: Final = frozenset({None, "Markdown", "reStructuredText"})
_HEADER: Final = re.compile(
    r"SPDX-License-Identifier:[ \t]*([\w.+()-]{1,100}(?:[ \t]+[\w.+()-]{1,100}){0,8})"
)
_HEADER_CHARACTERS: Final = 4096
_LICENCE_CHARACTERS: Final = 200_000
_VARYING: Final = re.compile(
    r"^.*(?:copyright (?:\(c\)|©|[\d\[<{y])|\(c\) \d|all rights reserved).*$", re.MULTILINE
)
_WORD: Final = re.compile(r"[a-z0-9]+")


def is_licence_file(path: str, language: str | None) -> bool:
    """Tell by its name whether a file holds a licence text: LICENSE, COPYING.LESSER, LICENSES/MIT.txt and their like."""
    folder, name = posixpath.split(path)
    return language in _PROSE and (
        bool(_FILE.fullmatch(name)) or posixpath.basename(folder) in {"LICENSES", "LICENCES"}
    )


def licence_of_text(text: str, least: float) -> str:
    """Return the SPDX identifier of the licence text most like `text`, UNRECOGNISED below a likeness of `least`.

    A text much shorter than any licence says where the licences are, and gives "".
    """
    pairs = _word_pairs(text[:_LICENCE_CHARACTERS])
    if 2 * len(pairs) < min(len(known) for _, known in _known()):
        return ""
    likeness, name = max(
        (2 * len(pairs & known) / (len(pairs) + len(known)), name) for name, known in _known()
    )
    return name if likeness >= least else UNRECOGNISED


def declared_licence(text: str) -> str:
    """Return the SPDX expression that a source file's head declares, "" if it declares none."""
    declared = _HEADER.search(text[:_HEADER_CHARACTERS])
    return " ".join(declared[1].split()) if declared else ""


def governing_licence(path: str, by_folder: Mapping[str, Iterable[str]]) -> str:
    """Return the licence of the nearest folder at or above `path`; several all apply, as far as we can know."""
    folder = posixpath.dirname(path)
    while folder and folder not in by_folder:
        folder = posixpath.dirname(folder)
    return " AND ".join(sorted(set(by_folder.get(folder, ()))))


@functools.cache
def _known() -> tuple[tuple[str, frozenset[tuple[str, str]]], ...]:
    return tuple((name, _word_pairs(text)) for name, text in LICENSES)


def _word_pairs(text: str) -> frozenset[tuple[str, str]]:
    return frozenset(pairwise(_WORD.findall(_VARYING.sub("", text.lower()))))
