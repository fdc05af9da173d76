"""Text that anybody may write: hidden characters shown by their number, and nothing in it taken for markup."""

import re
import unicodedata
from typing import Final

_HIDDEN: Final = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}  # controls, formats, surrogates, unassigned, separators
_UNUSUAL: Final = re.compile("[^\n\t\x20-\x7e\u3000-\u9fff\uff00-\uffef]")


def visible(text: str, *, lines: bool = False) -> str:
    """Return text with a mark for each hidden character but tabs and ends of lines; with `lines`, for these too."""
    marked = _UNUSUAL.sub(lambda found: _mark(found.group()), text)
    return marked.replace("\n", "↵\n") if lines else marked


def in_markdown(text: str) -> str:
    """Return text on one line, to stand in Markdown or in a cell of a table there without being taken for markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")


def _mark(character: str) -> str:
    hidden = unicodedata.category(character) in _HIDDEN
    return f"⟦U+{ord(character):04X}⟧" if hidden else character
