"""Where two texts differ: sentences are aligned first, then what the sentences that differ are made of.

A sentence ends at its punctuation or at its line. It is made of words where words are separated by spaces, and of
single characters where they are not (Chinese, Japanese, Thai, …), so a changed character is marked and not its line.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from phoenix_assets.dedup.comparison_config import DifferenceConfig
from phoenix_assets.dedup.edit_path import mates

KERNEL_VERSION: Final = "1"

_SENTENCE: Final = re.compile(r"[^\n.!?;。！？；…]*(?:[.!?;。！？；…]+[\"'”’」』）)]*\s*|\n\s*|\Z)")
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TOKEN: Final = re.compile(rf"[^\W{_UNSPACED}]+|\s+|.", re.DOTALL)


@dataclass(frozen=True)
class Span:
    """What stands at one place of the kept and of the dropped text; equal, or one of them may be empty."""

    kept: str
    dropped: str

    @property
    def equal(self) -> bool:
        """Whether there is no difference."""
        return self.kept == self.dropped


@dataclass(frozen=True)
class Hunk:
    """Differences that stand close together, with equal text around them."""

    skipped: int  # equal characters before it
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Difference:
    """Two texts, reduced to where they differ."""

    hunks: tuple[Hunk, ...]
    rest: int  # equal characters after the last hunk
    equal: int  # characters that are the same in both
    only_kept: int  # characters, all of them
    only_dropped: int
    hidden: int  # characters of the longer text that are not shown, because the two differ in too many places


def difference(kept: str, dropped: str, config: DifferenceConfig) -> Difference:
    """Return where two texts differ."""
    found = spans(kept, dropped, config)
    hunks, rest = _hunks(found, config.context_characters)
    shown, hidden = _shown(hunks, config.shown_characters)
    return Difference(
        tuple(shown),
        rest=0 if hidden else rest,
        equal=sum(len(span.kept) for span in found if span.equal),
        only_kept=sum(len(span.kept) for span in found if not span.equal),
        only_dropped=sum(len(span.dropped) for span in found if not span.equal),
        hidden=hidden + rest if hidden else 0,
    )


def spans(kept: str, dropped: str, config: DifferenceConfig) -> list[Span]:
    """Return two texts as spans, equal and different ones in turn."""
    found: list[Span] = []
    for part in _aligned(_sentences(kept), _sentences(dropped), config.differences):
        if part.equal or not part.kept or not part.dropped:
            found.append(part)
        else:
            inside = _aligned(_TOKEN.findall(part.kept), _TOKEN.findall(part.dropped), config.differences)
            found += _without_chance(inside, config.chance_characters)
    return list(_joined(found))


def _sentences(text: str) -> list[str]:
    return [found for found in _SENTENCE.findall(text) if found]  # the end of the text would be an empty one


def _aligned(kept: Sequence[str], dropped: Sequence[str], differences: int) -> Iterator[Span]:
    """Yield two sequences of tokens as spans."""
    numbers: dict[str, int] = {}
    left, right = (
        np.fromiter((numbers.setdefault(token, len(numbers)) for token in tokens), np.int64, len(tokens))
        for tokens in (kept, dropped)
    )
    mate = mates(left, right, differences=differences)
    places = np.flatnonzero(mate >= 0)
    first = np.flatnonzero((np.diff(places, prepend=-2) != 1) | (np.diff(mate[places], prepend=-2) != 1))
    stops = np.append(first[1:], len(places))
    start = other = 0
    for begin, there, length in zip(
        places[first].tolist(), mate[places[first]].tolist(), (stops - first).tolist(), strict=True
    ):
        if begin > start or there > other:
            yield Span("".join(kept[start:begin]), "".join(dropped[other:there]))
        start, other = begin + length, there + length
        same = "".join(kept[begin:start])
        yield Span(same, same)
    if start < len(kept) or other < len(dropped):
        yield Span("".join(kept[start:]), "".join(dropped[other:]))


def _without_chance(parts: Iterable[Span], longest: int) -> Iterator[Span]:
    """Yield spans; equal text that is shorter than the differences around it is one with them.

    Unlike passages always have a few characters in common, which would tear them to pieces: the semantic clean-up of
    diff-match-patch.
    """
    done: list[list[Span]] = []  # groups of spans that are one span
    for part in parts:
        done.append([part])
        while (
            len(done) > 2
            and len(done[-2]) == 1
            and done[-2][0].equal
            and len(done[-2][0].kept) <= min(longest, _size(done[-3]), _size(done[-1]))
        ):
            last, between = done.pop(), done.pop()
            done[-1] += between + last
    for group in done:
        yield Span("".join(one.kept for one in group), "".join(one.dropped for one in group))


def _size(group: Sequence[Span]) -> int:
    """Return the characters of a difference, as far as it matters."""
    return max(len(group[0].kept), len(group[0].dropped), len(group[-1].kept), len(group[-1].dropped))


def _joined(parts: Iterable[Span]) -> Iterator[Span]:
    """Yield spans with neighbours of one kind put together."""
    group: list[Span] = []
    for part in parts:
        if group and group[-1].equal != part.equal:
            yield Span("".join(one.kept for one in group), "".join(one.dropped for one in group))
            group = []
        group.append(part)
    if group:
        yield Span("".join(one.kept for one in group), "".join(one.dropped for one in group))


def _hunks(found: Sequence[Span], context: int) -> tuple[list[Hunk], int]:
    """Return hunks, and how many equal characters follow the last one; stretches that are worth a fold are left out."""
    hunks: list[Hunk] = []
    inside: list[Span] = []
    skipped = 0
    for place, span in enumerate(found):
        if not span.equal:
            inside.append(span)
            continue
        text = span.kept
        head = context if inside else 0
        tail = context if place + 1 < len(found) else 0
        if len(text) <= head + tail + context:
            inside.append(span)
            continue
        if inside:
            hunks.append(Hunk(skipped, (*inside, Span(text[:head], text[:head]))))
        skipped = len(text) - head - tail
        after = text[len(text) - tail :]
        inside = [Span(after, after)] if tail else []
    if inside and not all(span.equal for span in inside):
        return [*hunks, Hunk(skipped, tuple(inside))], 0
    return hunks, skipped + sum(len(span.kept) for span in inside)


def _shown(hunks: Sequence[Hunk], characters: int) -> tuple[list[Hunk], int]:
    """Return the first hunks up to so many characters of the longer text, and how many are hidden with the others."""
    shown: list[Hunk] = []
    left, hidden = characters, 0
    for hunk in hunks:
        inside: list[Span] = []
        for span in hunk.spans:
            size = max(len(span.kept), len(span.dropped))
            if left > 0:
                inside.append(Span(span.kept[:left], span.dropped[:left]) if size > left else span)
            hidden += max(0, size - left)
            left = max(0, left - size)
        if inside:
            shown.append(Hunk(hunk.skipped, tuple(inside)))
        else:
            hidden += hunk.skipped
    return shown, hidden
