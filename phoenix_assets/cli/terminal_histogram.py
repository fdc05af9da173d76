"""Histograms as text, for a terminal: a line a range of values, bars in eighths of a character."""

from collections.abc import Mapping, Sequence
from typing import Final

_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"


def histogram_text(
    edges: Sequence[float], counts: Sequence[float], marks: Mapping[str, float], *, rows: int, width: int
) -> str:
    """Return a line for each of at most `rows` ranges; a range in which a mark lies names it."""
    step = -(-len(counts) // rows)
    starts = range(0, len(counts), step)
    sums = [sum(counts[start : start + step]) for start in starts]
    most = max([1.0, *sums])
    lines = []
    for start, count in zip(starts, sums, strict=True):
        low, high = edges[start], edges[min(start + step, len(counts))]
        last = start + step >= len(counts)
        here = [label for label, value in marks.items() if low <= value < high or (last and value == high)]
        marked = f"  ◄ {', '.join(here)}" if here else ""
        lines.append(f"{low:>12,.4g} │{bar(count / most * width):<{width}} {count:>12,.0f}{marked}")
    return "\n".join(lines)


def bar(length: float) -> str:
    """Return a bar of `length` characters; what is more than nothing is never invisible."""
    eighths = max(round(length * 8), 1 if length > 0 else 0)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (_EIGHTHS[rest] if rest else "")
