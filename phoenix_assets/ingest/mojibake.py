"""Mojibake: UTF-8 that was read as something else and saved again, `ä¸­æ–‡` or `涓枃` for 中文.

The mistake is provable where it can be undone: the characters of a line, written in the wrong encoding, are valid
UTF-8, which those of ordinary text are not. Where characters were lost on the way (`锟斤拷`, U+FFFD, `?`), the text
cannot be had back and is refused.
"""

import re
from dataclasses import dataclass
from typing import Final

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

_REPLACED: Final = re.compile("\ufffd|锟斤拷|ï¿½")  # U+FFFD, and what it becomes when it is misread
_REPLACEMENT: Final = "\ufffd"
_SOUND_PER_BROKEN: Final = 3  # well-formed characters for each broken one: more is mojibake with losses
_MAX_ROUNDS: Final = 3  # text can have gone wrong more than once


def _pairs(encoding: str, leads: range, trails: range) -> str:
    decoded = (bytes((lead, trail)).decode(encoding, "ignore") for lead in leads for trail in trails)
    return "".join(text for text in decoded if len(text) == 1)


def _bytes_of(encoding: str) -> str:
    return "".join(bytes((byte,)).decode(encoding, "ignore") for byte in range(0x80, 0xC0))


@dataclass(frozen=True, slots=True)
class Misreading:
    """A wrong encoding, how text looks that was read in it, and how many characters prove it."""

    encoding: str
    looks: re.Pattern[str]
    min_characters: int


_MISREADINGS: Final = (
    Misreading("cp1252", re.compile(f"[Â-ô][\x80-\xbf{re.escape(_bytes_of('cp1252'))}]"), 1),
    Misreading("cp1251", re.compile(f"[РС][{re.escape(_bytes_of('cp1251'))}]"), 3),
    # The first two of the three bytes that UTF-8 has for a common ideograph.
    Misreading("gb18030", re.compile(f"[{_pairs('gbk', range(0xE4, 0xEA), range(0x80, 0xC0))}]"), 3),
)


def repair(text: str, limits: ReaderLimits) -> tuple[str, tuple[str, ...]]:
    """Return `text` with its mojibake undone, and the wrong encodings it had been read in, the last one first.

    Raises RecordRejected (invalid_encoding): characters are lost.
    """
    undone: list[str] = []
    for _ in range(_MAX_ROUNDS):
        _refuse_lost(sum(len(found) for found in _REPLACED.findall(text)), text, limits)
        for misreading in _MISREADINGS:
            repaired = _undo(text, misreading, limits)
            if repaired != text:
                text = repaired
                undone.append(misreading.encoding)
                break
        else:
            break
    return text, tuple(undone)


def repair_if_whole(text: str, limits: ReaderLimits) -> tuple[str, tuple[str, ...]]:
    """Return what `repair` does, and a text with lost characters as it is: a record's fields are short, a page has others."""
    try:
        return repair(text, limits)
    except RecordRejected:
        return text, ()


def _undo(text: str, misreading: Misreading, limits: ReaderLimits) -> str:
    if not misreading.looks.search(text):
        return text
    lines, proven, lost = text.split("\n"), 0, 0
    for number, line in enumerate(lines):
        if line.isascii():
            continue
        read = _written(line, misreading.encoding).decode("utf-8", "replace")
        broken = read.count(_REPLACEMENT)
        sound = len(read) - len(read.encode("ascii", "ignore")) - broken
        if not broken and sound:
            lines[number] = read
            proven += sound
        elif sound > _SOUND_PER_BROKEN * broken:
            lost += broken
    _refuse_lost(lost, text, limits)
    return "\n".join(lines) if proven >= misreading.min_characters else text


def _written(line: str, encoding: str) -> bytes:
    """Return the bytes of a line; those that Windows-1252 leaves undefined stand for control characters."""
    if encoding != "cp1252":
        return line.encode(encoding, "replace")
    return b"".join(
        character.encode("latin-1")
        if "\x80" <= character <= "\x9f"
        else character.encode(encoding, "replace")
        for character in line
    )


def _refuse_lost(lost: int, text: str, limits: ReaderLimits) -> None:
    if lost > limits.max_replaced_share * len(text):
        detail = (
            f"{lost} of {len(text)} characters were lost when UTF-8 was read in another encoding and saved"
        )
        raise RecordRejected(RejectReason.INVALID_ENCODING, detail)
