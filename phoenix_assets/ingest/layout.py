"""From the lines of printed pages to running text: reading order, running heads, paragraphs.

A page is its lines with their boxes (points, origin at the lower left). Running heads are told by their place at a
page's edge and their recurrence. A page has columns when a gap parts most of its lines into two sides that are
filled with text; titles across the gap divide it into bands. A line goes on with the next one when the next word had
no more room in it, unless an indent, a wider distance, another size or a list's mark says otherwise.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Final

from phoenix_assets.ingest.config import PdfLimits

KERNEL_VERSION: Final = "1"

_NUMBERS: Final = re.compile(r"\d+")
_PAGE_NUMBER: Final = re.compile(
    r"[-–—\s]*(?:\d{1,5}|[ivxlcdm]{1,8})[-–—\s]*|第\s*\d+\s*页.*|page\s+\d+.*", re.IGNORECASE
)
# PDFium's two marks of a hyphen that breaks a word, and the soft hyphen.
MARKED_HYPHENS: Final = "\x02\ufffe\u00ad"
_DOT_LEADER: Final = re.compile(r"(?:[ \u00a0]?[.…·]){5,}")  # from a title to its page, in tables of contents
_LIST_MARK: Final = re.compile(
    r"[•‣◦▪■□●○◆◇➢✓]|[-–—*·]\s|\(?\d{1,3}[.)]\s|\d{1,3}、|[(（][\d一二三四五六七八九十]{1,3}[)）]|[①-⑳]"
)
_SENTENCE_END: Final = re.compile("[.!?。！？…:：;；][\"'”’」』)）]*$")
_UNSPACED: Final = "[\u2e80-\u303f\u3041-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
_NO_SPACE: Final = re.compile(f"(?<={_UNSPACED})\\n|\\n(?={_UNSPACED})")
_WORD_BREAK: Final = re.compile(r"([a-zà-ÿ]+)-\n([a-zà-ÿ]+)")
_COMPOUND: Final = re.compile(r"[a-zà-ÿ]+-[a-zà-ÿ]+")
_IN_PARAGRAPH: Final = "\n"
_PARAGRAPH: Final = "\f"
_MARKED_HYPHEN: Final = re.compile(f"[{MARKED_HYPHENS}]\n?")
_MAX_LEADING: Final = 3.0  # line heights; a greater distance is no line distance
_EDGE_SLACK: Final = 0.3  # line heights within which edges are the same
_SHARED_EDGE: Final = 3  # lines that make an edge the margin


@dataclass(frozen=True, slots=True)
class Line:
    """A printed line, or its part on one side of a wide gap. `height` is that of its type."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    height: float
    is_row: bool = False  # of a table: its parts stand far from each other


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of one column in reading order, its right margin and its usual distance of baselines."""

    lines: list[Line]
    right: float
    leading: float

    @property
    def width(self) -> float:
        """From the leftmost line to the right margin."""
        return self.right - min(line.left for line in self.lines)


def without_running_heads(pages: list[list[Line]], limits: PdfLimits) -> list[list[Line]]:
    """Return the pages without the rows at their edges that are running heads or page numbers."""
    rows = [_rows(page) for page in pages]
    running: set[str] = set()
    if len(pages) >= limits.min_pages_for_edges:
        counts = Counter(
            key
            for page in rows
            for key in {_key(line.text) for row in _edges(page, limits.edge_lines) for line in row}
        )
        most = limits.repeated_edge_share * len(pages)
        running = {key for key, count in counts.items() if key and count > most}
    gone = [_furniture(page, running, limits.edge_lines) for page in rows]
    return [[line for line in page if line not in lost] for page, lost in zip(pages, gone, strict=True)]


def running_text(pages: Iterable[list[Line]], limits: PdfLimits) -> str:
    """Return the text of `pages`, a paragraph a line."""
    blocks = [block for page in pages for block in reading_order(page, limits)]
    text = "".join(_with_breaks(blocks, limits))
    text = _MARKED_HYPHEN.sub("", text)
    compounds = set(_COMPOUND.findall(text))
    text = _WORD_BREAK.sub(lambda word: _rejoined(word, compounds), text)
    text = _NO_SPACE.sub("", text).replace(_IN_PARAGRAPH, " ").replace(_PARAGRAPH, "\n")
    return _DOT_LEADER.sub(" …", text).strip()


def reading_order(lines: list[Line], limits: PdfLimits) -> list[Block]:
    """Return the lines of a page in the order they are read: band by band, in each column by column."""
    gap = _gutter(lines, limits)
    if gap is None:
        return [_block(lines, limits)] if lines else []
    blocks: list[Block] = []
    band: list[Line] = []
    across: list[Line] = []
    for line in sorted(lines, key=lambda line: -line.top):
        if _side(line, gap) == 0:
            blocks += _columns(band, gap, limits)
            across, band = [*across, line], []
        else:
            blocks += [_block(across, limits)] if across else []
            across, band = [], [*band, line]
    return [*blocks, *([_block(across, limits)] if across else []), *_columns(band, gap, limits)]


def _columns(band: list[Line], gap: float, limits: PdfLimits) -> list[Block]:
    sides = ([line for line in band if _side(line, gap) == side] for side in (-1, 1))
    return [block for side in sides for block in reading_order(side, limits)]


def _side(line: Line, gap: float) -> int:
    """Return -1 or 1 for a line on the left or the right of `gap`, 0 for one across."""
    if line.right <= gap:
        return -1
    return 1 if line.left >= gap - _EDGE_SLACK * line.height else 0


def _gutter(lines: list[Line], limits: PdfLimits) -> float | None:
    """Return the left edge of a column that has another one on its left, None if the lines are one column."""
    if len(lines) < 2 * limits.min_column_lines:
        return None
    height = median(line.height for line in lines)
    edges = Counter(round(line.left / height) for line in lines)
    starts = [edge for edge, count in edges.items() if count >= limits.min_column_lines]
    best, fewest = None, limits.max_spanning_share * len(lines) + 1
    for start in starts:
        gap = min(line.left for line in lines if round(line.left / height) == start)
        left = [line for line in lines if line.right <= gap - limits.column_gap * height]
        right = [line for line in lines if _side(line, gap) == 1]
        spanning = len(lines) - len(left) - len(right)
        if spanning < fewest and all(len(side) >= limits.min_column_lines for side in (left, right)):
            widths = (gap - min(line.left for line in left), max(line.right for line in right) - gap)
            filled = (_fill(side, width) for side, width in zip((left, right), widths, strict=True))
            if min(filled) >= limits.min_column_fill and _beside(left, right):
                best, fewest = gap, spanning
    return best


def _fill(lines: list[Line], width: float) -> float:
    return median(line.right - line.left for line in lines) / width


def _beside(left: list[Line], right: list[Line]) -> bool:
    """Tell whether two sets of lines share at least half of the height of the lower one."""
    tops = [max(line.top for line in side) for side in (left, right)]
    bottoms = [min(line.bottom for line in side) for side in (left, right)]
    lowest = min(top - bottom for top, bottom in zip(tops, bottoms, strict=True))
    return min(tops) - max(bottoms) >= lowest / 2


def _rejoined_parts(lines: list[Line], limits: PdfLimits) -> list[Line]:
    """Return lines whose parts are one again: they stand side by side in one column, as in a table's row."""
    joined: list[Line] = []
    for line in lines:
        last = joined[-1] if joined else None
        if last and (last.bottom, last.top) == (line.bottom, line.top) and last.right <= line.left:
            far = line.left - last.right > limits.cell_gap * line.height
            joined[-1] = replace(
                last, text=f"{last.text} {line.text}", right=line.right, is_row=last.is_row or far
            )
        else:
            joined.append(line)
    return joined


def _block(parts: list[Line], limits: PdfLimits) -> Block:
    lines = _rejoined_parts(parts, limits)
    height = median(line.height for line in lines)
    edges = Counter(round(line.right / (height * _EDGE_SLACK)) for line in lines)
    shared = [edge for edge, count in edges.items() if count >= _SHARED_EDGE]
    right = max(shared) * height * _EDGE_SLACK if shared else max(line.right for line in lines)
    down = [gap for a, b in pairwise(lines) if 0 < (gap := a.bottom - b.bottom) < _MAX_LEADING * height]
    return Block(lines, right, median(down) if down else height)


def _with_breaks(blocks: list[Block], limits: PdfLimits) -> Iterator[str]:
    """Yield the texts of all lines, each with what parts it from the line before."""
    before: tuple[Line, Block] | None = None
    for block in blocks:
        for line in block.lines:
            if before:
                yield _IN_PARAGRAPH if _goes_on(*before, line, block, limits) else _PARAGRAPH
            yield line.text
            before = line, block


def _goes_on(last: Line, block: Block, line: Line, its_block: Block, limits: PdfLimits) -> bool:
    """Tell whether `line` belongs to the paragraph of the line before it, `last`."""
    sizes = sorted((last.height, line.height))
    if sizes[1] > limits.size_change * sizes[0] or last.is_row or line.is_row:
        return False
    if _DOT_LEADER.search(last.text) or _LIST_MARK.match(line.text):
        return False
    if last.text[-1:] in MARKED_HYPHENS:
        return True
    full = last.right + _first_word(line) > block.right - _EDGE_SLACK * last.height
    if block is not its_block:
        alike = sorted((block.width, its_block.width))
        return full and alike[1] < limits.width_change * alike[0] and not _SENTENCE_END.search(last.text)
    down = last.bottom - line.bottom
    if down > limits.paragraph_gap * block.leading or down < -limits.paragraph_gap * block.leading:
        return False
    indented = line.left > last.left + limits.indent * line.height
    return full and (not indented or bool(_LIST_MARK.match(last.text)))


def _first_word(line: Line) -> float:
    """Return about the width of what would have had to fit into the line before."""
    if _NO_SPACE.match(f"\n{line.text[:1]}"):
        return line.height
    return (line.right - line.left) * len(line.text.split(" ", 1)[0]) / max(len(line.text), 1)


def _rejoined(word: re.Match[str], compounds: set[str]) -> str:
    """Return a word broken at a hyphen; a compound that the text also has unbroken keeps its hyphen."""
    compound = f"{word[1]}-{word[2]}"
    return compound if compound in compounds else word[1] + word[2]


def _rows(lines: list[Line]) -> list[list[Line]]:
    """Return the lines from the top down, those beside each other as one row."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: (-line.bottom, line.left)):
        if rows and rows[-1][0].bottom - line.bottom < line.height / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _edges(rows: list[list[Line]], count: int) -> list[list[Line]]:
    return rows[:count] + rows[max(count, len(rows) - count) :] if count else []


def _furniture(rows: list[list[Line]], running: set[str], count: int) -> set[Line]:
    """Return the lines of running heads and page numbers among the `count` rows at each edge, from outside in."""
    gone: set[Line] = set()
    for edge in (rows[:count], rows[max(count, len(rows) - count) :][::-1]):
        for row in edge:
            if not all(_is_furniture(line.text, running) for line in row):
                break
            gone.update(row)
    return gone


def _is_furniture(text: str, running: set[str]) -> bool:
    return _key(text) in running or bool(_PAGE_NUMBER.fullmatch(text.strip()))


def _key(text: str) -> str:
    return _NUMBERS.sub("#", " ".join(text.split()))
