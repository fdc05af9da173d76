"""Tables as Markdown."""

from collections.abc import Sequence
from typing import Final

KERNEL_VERSION: Final = "1"


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return `rows` of cell texts as a Markdown table whose first row is its head; "" if all cells are blank.

    Rows may differ in length. A cell is one line: its line breaks become spaces.
    """
    cells = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    width = max(map(len, cells), default=0)
    if not any(cell for row in cells for cell in row):
        return ""
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in cells if row]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])
