"""Manual pages (roff with the `man` macros) to plain text.

A page becomes headings and paragraphs: requests and definitions go, fonts and escapes are resolved,
arguments of font macros are joined as they print. Tables keep their cells. Pages in the `mdoc` language are
not for this module.
"""

import re
import shlex
from collections.abc import Iterator

_FONT_MACROS = frozenset({"B", "I", "SM", "SB", "R"})  # arguments printed with spaces
_ALTERNATING_MACROS = frozenset({"BR", "RB", "BI", "IB", "IR", "RI"})  # arguments printed joined
_HEADING_MACROS = frozenset({"SH", "SS", "Sh"})
_PARAGRAPH_MACROS = frozenset(
    {"PP", "P", "LP", "TP", "HP", "IP", "TQ", "br", "sp", "nf", "fi", "RS", "RE", "EX", "EE"}
)
_SPECIAL = {
    "(bu": "•", "(em": "—", "(en": "–", "(lq": "“", "(rq": "”", "(oq": "‘", "(cq": "’", "(aq": "'",
    "(dq": '"', "(co": "©", "(rg": "®", "(+-": "±", "(mu": "×", "(->": "→", "(<-": "←", "(ha": "^",
    "(ti": "~", "(rs": "\\", "(at": "@", "(hy": "-", "(mi": "-", "(ga": "`", "(bv": "|", "(or": "|",
    "(de": "°", "(>=": "≥", "(<=": "≤",
}  # fmt: skip
_STRINGS = {
    "(lq": "“",
    "(rq": "”",
    "(Aq": "'",
    "R": "®",
    "(Tm": "™",
    '(L"': '"',
    '(R"': '"',
    "(C'": "'",
    "(C`": "'",
}
_ESCAPE = re.compile(
    r"""\\(?:
        ["#].*$                                    # comment
      | f(?:\[[^\]]*\]|\(..|.)                     # font
      | s(?:[-+]?\d|\([-+]?\d\d|\[[-+]?\d+\])      # size
      | [hvwbloDXLNZAR]'[^']*'                     # motion, drawing, device control
      | [mMFYkgn](?:\[[^\]]*\]|\(..|.)             # colour, family, register
      | \*(?P<string>\[[^\]]*\]|\(..|.)            # string
      | \[(?P<named>[^\]]*)\]
      | (?P<special>\(..)
      | (?P<one>.)
    )""",
    re.X | re.S,
)
_COMMENT = re.compile(r'\s*\\["#].*$')
_ONE = {
    "-": "-",
    "e": "\\",
    "\\": "\\",
    " ": " ",
    "~": " ",
    "0": " ",
    "t": "\t",
    "'": "'",
    "`": "`",
    ".": ".",
    "E": "\\",
}


def is_mdoc(source: str) -> bool:
    """Return whether a manual page is written in mdoc, which `render` does not read."""
    return re.search(r"^\.\s*Dd\b", source, re.M) is not None


def render(source: str) -> str:
    """Return the text of a manual page: headings and paragraphs, separated by empty lines."""
    paragraphs: list[list[str]] = [[]]
    filled = True
    for macro, arguments in _statements(source):
        if macro in _HEADING_MACROS:
            paragraphs += [[" ".join(arguments)], []]
        elif macro == "TH":
            paragraphs += [[f"{arguments[0]}({arguments[1]})"], []] if len(arguments) > 1 else [[]]
        elif macro in _PARAGRAPH_MACROS:
            filled = {"nf": False, "EX": False, "fi": True, "EE": True}.get(macro, filled)
            tagged = macro in {"IP", "HP"} and bool(arguments)
            paragraphs.append([arguments[0]] if tagged else [])
        elif (line := _printed_line(macro, arguments)) is None:
            continue
        elif line.strip():
            broken = not filled or line.startswith(" ")  # an indented line starts a new one, as in print
            paragraphs[-1] += ["\n", line.rstrip()] if broken else [line.strip()]
        else:
            paragraphs.append([])
    texts = (re.sub(r" ?\n ?", "\n", " ".join(lines)).strip() for lines in paragraphs)
    return "\n\n".join(text for text in texts if text) + "\n"


def _printed_line(macro: str, arguments: list[str]) -> str | None:
    """Return what a text line or a font macro prints; None for requests that print nothing."""
    if macro in _ALTERNATING_MACROS:
        return "".join(arguments)
    return " ".join(arguments) if macro == "" or macro in _FONT_MACROS else None


def unescape(text: str) -> str:
    """Resolve the roff escapes of a line; escapes without a printed form vanish."""
    return _ESCAPE.sub(_printed, text)


def _printed(match: re.Match[str]) -> str:
    if (string := match["string"]) is not None:
        return _STRINGS.get(string, "")
    if (named := match["named"]) is not None:
        return (
            chr(int(named[1:], 16))
            if re.fullmatch(r"u[0-9A-F]{4,5}", named)
            else _SPECIAL.get(f"({named}", "")
        )
    if (special := match["special"]) is not None:
        return _SPECIAL.get(special, "")
    return _ONE.get(match["one"] or "", "")


def _statements(source: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (macro, arguments) of control lines and ("", [line]) of text; definitions are left out."""
    skip_until: str | None = None
    depth = 0
    for line in source.splitlines():
        if skip_until is not None:
            if line.rstrip() == skip_until:
                skip_until = None
            continue
        opened = depth
        depth += line.count(r"\{") - line.count(r"\}")
        if opened or depth > 0:
            depth = max(depth, 0)
            continue
        control = re.match(r"[.']\s*([^\s\\\"]*)\s*(.*)$", line)
        if control is None:
            yield "", [unescape(_table_cells(line))]
        elif control[1] in {"de", "de1", "am", "ig"}:
            words = _COMMENT.sub("", control[2]).split()
            ends = words[1:2] if control[1] != "ig" else words[:1]
            skip_until = f".{ends[0]}" if ends else ".."
        elif control[1]:
            yield control[1], [unescape(argument) for argument in _arguments(control[2])]


def _arguments(text: str) -> list[str]:
    """Split macro arguments at spaces outside double quotes."""
    text = _COMMENT.sub("", text)
    lexer = shlex.shlex(text.replace(r"\ ", "\u00a0"), posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.quotes, lexer.escape = True, "", '"', ""
    try:
        return [word.replace("\u00a0", " ") for word in lexer]
    except ValueError:  # an open quote runs to the end of the line
        return text.replace('"', "").split()


def _table_cells(line: str) -> str:
    return "" if line in {"T{", "T}"} else line.removeprefix("T}").removesuffix("T{")
