"""Finish a page's text: formulas, pictures of formulas, code and tables, where `rendering.write` left marks."""

import html
import re
from typing import Final

import numpy as np
import numpy.typing as npt

from phoenix_assets.ingest.markup import Page
from phoenix_assets.ingest.mathml import formula, tex
from phoenix_assets.ingest.rendering import write
from phoenix_assets.ingest.tables import markdown_table
from phoenix_assets.ingest.tags import MATH, TEX

KERNEL_VERSION: Final = "1"

_ISLAND: Final = re.compile("\x01(\\d+)\x02")
_PREFORMATTED: Final = re.compile("\x0e(\\d+)\x0f([^\x10]*)\x10")
_TABLE: Final = re.compile("\x1c([^\x1d]*)\x1d")
_ATTRIBUTE: Final = r"""(?<![\w-]){}\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"']+))"""
_CLASS: Final = re.compile(_ATTRIBUTE.format("class"), re.IGNORECASE)
_ALT: Final = re.compile(_ATTRIBUTE.format("alt"), re.IGNORECASE)
_ADDRESS: Final = re.compile(_ATTRIBUTE.format("src"), re.IGNORECASE)
_DISPLAYED: Final = re.compile(
    r"\b(?:mode\s*=\s*display|display\s*=\s*[\"']?(?:block|true))\b", re.IGNORECASE
)
_DISPLAY_CLASS: Final = re.compile(r"(?:katex|math\w*|tex|image)[-_](?:display|block)", re.IGNORECASE)
_FORMULA_CLASS: Final = re.compile(r"\b(?:tex|latex|mwe-math\S*|math)\b", re.IGNORECASE)
_FORMULA_ADDRESS: Final = re.compile(r"latex|[?&/]tex\b|mathtex|mimetex|/equation\b", re.IGNORECASE)
_LOOKS_LIKE_TEX: Final = re.compile(r"\\[A-Za-z]|[_^]\{|\w\^")
_LANGUAGE: Final = re.compile(
    r"(?<![\w-])(?:language|lang|highlight-source|highlight|brush:|src|sourceCode)[-:\s]+([A-Za-z][\w+#-]*)"
)
_NO_LANGUAGE: Final = frozenset(
    {"default", "none", "plain", "text", "plaintext", "notranslate", "wrapper", "highlight"}
)
_CODE: Final = re.compile(
    r"[;{}]\s*$|^\s*(?:[#$>%] |//|def |class |import |from \w+ import|return\b|<\w)|\w\(|\w\s?[=!<>+]=?\s?[\w\"']|->|::|--\w",
    re.MULTILINE,
)
_CODE_SHARE: Final = 0.3  # of the lines of preformatted text
_ANCESTORS: Final = 4  # whose class may say how a formula is shown, or in which language code is
_BEFORE_LINE_END: Final = re.compile(r"[ \t]+\n")
_AFTER_DISPLAYED: Final = re.compile(r"(?<=\n\$\$\n\n) +")
_BLANK_LINES: Final = re.compile(r"\n{3,}")


def render(page: Page, state: npt.NDArray[np.uint8], top: int) -> str:
    """Return the text of the elements that are INSIDE, from element `top` down, as Markdown."""
    text = html.unescape(write(page, state, top).decode("utf-8", "replace"))
    text = _ISLAND.sub(lambda match: _island(page, int(match[1])), text)
    parts = _PREFORMATTED.split(text)  # text, element, preformatted text, text, …
    parts[::3] = [_flowing(part) for part in parts[::3]]
    parts[1::3] = [
        _preformatted(page, int(element), code)
        for element, code in zip(parts[1::3], parts[2::3], strict=True)
    ]
    parts[2::3] = [""] * len(parts[2::3])
    return "".join(parts).strip()


def _flowing(text: str) -> str:
    text = _BLANK_LINES.sub("\n\n", _AFTER_DISPLAYED.sub("", _BEFORE_LINE_END.sub("\n", text)))
    return _TABLE.sub(lambda match: _table(match[1]), text)


def _attributes(page: Page, element: int) -> str:
    start, end = page.attributes[element]
    return page.data[start:end].tobytes().decode("utf-8", "replace")


def _value(pattern: re.Pattern[str], attributes: str) -> str:
    match = pattern.search(attributes)
    return html.unescape(next((group for group in match.groups() if group), "")) if match else ""


def _classes(page: Page, element: int) -> str:
    """Return the class names of the element and of those around it, the nearest first."""
    found = []
    for _ in range(_ANCESTORS):
        found.append(_value(_CLASS, _attributes(page, element)))
        if element == 0:
            break
        element = int(page.parent[element])
    return " ".join(found)


def _island(page: Page, element: int) -> str:
    attributes, role = _attributes(page, element), page.role[element]
    if role in (MATH, TEX):
        start, end = page.source[element]
        source = page.data[start:end].tobytes().decode("utf-8", "replace")
        displayed = _DISPLAYED.search(attributes) or _DISPLAY_CLASS.search(_classes(page, element))
        return formula(tex(source) if role == MATH else source, display=displayed is not None)
    alternative = _value(_ALT, attributes).strip()
    if not alternative:
        return ""
    own = _value(_CLASS, attributes)
    if (
        _FORMULA_CLASS.search(own)
        or _FORMULA_ADDRESS.search(_value(_ADDRESS, attributes))
        or _LOOKS_LIKE_TEX.search(alternative)
    ):
        return formula(alternative, display=_DISPLAY_CLASS.search(own) is not None)
    return ""


def _preformatted(page: Page, element: int, text: str) -> str:
    """Return code in a fence, with its language if a class name says it; other text as it is."""
    text = text.strip("\n").rstrip()
    if not text.strip():
        return ""
    start, end = page.source[element]
    inner = page.data[start : min(end, start + 300)].tobytes().decode("utf-8", "replace")
    names = [
        name.lower()
        for name in _LANGUAGE.findall(
            f"{inner.partition('>')[0]} {_value(_CLASS, inner)} {_classes(page, element)}"
        )
    ]
    language = next((name for name in names if name not in _NO_LANGUAGE), "")
    lines = [line for line in text.split("\n") if line.strip()]
    code = (
        names
        or "<code" in inner
        or sum(_CODE.search(line) is not None for line in lines) >= _CODE_SHARE * len(lines)
    )
    return f"```{language}\n{text}\n```" if code else text


def _table(text: str) -> str:
    rows = [row.split("\x1f")[1:] for row in text.split("\x1e")[1:]]
    captions = [row[0].strip() for row in rows if len(row) == 1]
    return "\n\n".join(filter(None, (*captions, markdown_table([row for row in rows if len(row) > 1]))))
