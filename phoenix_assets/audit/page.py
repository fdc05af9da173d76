"""An audit as people read it: a title, facts and tables; as text for a terminal, as Markdown, as one HTML file."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from unicodedata import east_asian_width

from jinja2 import Environment, StrictUndefined, Template

from phoenix_assets.visible import in_markdown, visible

_IDENTIFIER: Final = re.compile(r"[0-9a-f]{16,}(?:-[0-9a-z]+)?")
_NUMBER: Final = re.compile(r"[-−]?[\d,]+(?:\.\d+)?(?:e[-+]?\d+)?%?|–")

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """Rows under a heading. `whole` tables are long: a terminal only names them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    whole: bool = False
    note: str = ""


@dataclass(frozen=True)
class Page:
    """What one audit found."""

    title: str
    story: Sequence[str] = ()  # in sentences
    facts: Mapping[str, Cell] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    verification: Mapping[str, Any] | None = None

    @property
    def verdict(self) -> str:
        """What was recomputed from the lake, and whether it agreed; "" when nothing was."""
        if self.verification is None:
            return ""
        agrees = "agrees with the lake" if self.verification["passed"] else "DOES NOT AGREE WITH THE LAKE"
        counts = self.verification
        deleted = f", {len(counts['deleted']):,} deleted on purpose" if counts["deleted"] else ""
        return (
            f"{agrees} ({counts['partitions']:,} records, {counts['rows']:,} rows, {counts['files']:,} files "
            f"recomputed{deleted})"
        )


def page_text(page: Page) -> str:
    """Return a page for a terminal."""
    lines = [page.title, *page.story]
    if page.facts:
        width = max(map(len, page.facts))
        lines += ["", *(f"{name:<{width}}  {shown(value)}" for name, value in page.facts.items())]
    for table in page.tables:
        if table.rows:
            lines += ["", table.title, *_text_rows(table)]
            lines += [f"  {table.note}"] if table.note else []
    if page.verification is not None:
        lines += [
            "",
            f"verified: {page.verdict}",
            *(f"  {problem}" for problem in page.verification["problems"]),
        ]
    return "\n".join(lines)


def page_markdown(page: Page, rows: int) -> str:
    """Return a page as Markdown, each table cut after so many rows."""
    lines = [f"**{in_markdown(page.title)}**", "", *(f"{in_markdown(line)}  " for line in page.story)]
    lines += [f"- {name}: {in_markdown(shown(value))}" for name, value in page.facts.items()]
    for table in page.tables:
        if table.rows and not table.whole:
            lines += [
                "",
                f"**{table.title}**",
                "",
                f"| {' | '.join(table.columns)} |",
                f"|{'---|' * len(table.columns)}",
            ]
            lines += [
                f"| {' | '.join(in_markdown(shown(cell)) for cell in row)} |" for row in table.rows[:rows]
            ]
            lines += [f"\n… {len(table.rows) - rows:,} more"] if len(table.rows) > rows else []
    return "\n".join(lines)


def page_html(page: Page, rows: int) -> str:
    """Return a page as one HTML file that needs no other and runs no script, each table cut after so many rows."""
    return _template().render(page=page, most=rows)


def cells(rows: Iterable[Mapping[str, Any]], *names: str) -> list[tuple[Cell, ...]]:
    """Return these values of each row, in this order."""
    return [tuple(row[name] for name in names) for row in rows]


def shown(value: Cell) -> str:
    """Return a value as people read it: thousands apart, few digits, what cannot be seen made visible."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.6g}" if isinstance(value, float) else str(visible(value))


def licence_text(term: Mapping[str, Any]) -> str:
    """Return licence terms as people read them: the identifier, and the last day if there is one."""
    return f"{term['licence']} (until {term['expires']})" if term["expires"] else str(term["licence"])


def _text_rows(table: Table) -> Iterator[str]:
    if table.whole:
        yield f"  {len(table.rows):,} (all of them with --json or --html)"
        return
    texts = [list(table.columns), *([shown(cell) for cell in row] for row in table.rows)]
    widths = [max(map(_width, column)) for column in zip(*texts, strict=True)]
    right = [all(_NUMBER.fullmatch(row[place]) for row in texts[1:]) for place in range(len(widths))]
    for row in texts:
        padded = (
            " " * (width - _width(cell)) + cell if to_right else cell + " " * (width - _width(cell))
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        yield f"  {'  '.join(padded)}".rstrip()


def _width(text: str) -> int:
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = shown
    environment.tests["identifier"] = lambda value: (
        isinstance(value, str) and bool(_IDENTIFIER.fullmatch(value))
    )
    source = Path(__file__).with_name("page.html.jinja").read_text("utf-8")
    return environment.from_string(source)
