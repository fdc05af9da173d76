"""Wiki markup to text: templates, tables, references and media go, headings and list items stay as lines.

Formulas and code survive as their source (`$…$` and `$$…$$`, code lines); Chinese conversion markup `-{…}-` yields its
simplified variant. What counts as a picture or a category is decided by the namespaces that the dump itself
declares.
"""

import re
from collections.abc import Collection
from typing import Any, Final

import mwparserfromhell
from mwparserfromhell import nodes

from phoenix_assets.ingest.mathml import formula

KERNEL_VERSION: Final = "2"

_FORMULA: Final = re.compile(
    r"<(?:math|chem|ce)\b([^>/]*)>(.*?)</(?:math|chem|ce)\s*>", re.DOTALL | re.IGNORECASE
)
_CODE: Final = re.compile(r"<(syntaxhighlight|source)\b[^>/]*>(.*?)</\1\s*>", re.DOTALL | re.IGNORECASE)
_CONVERSION: Final = re.compile(r"-\{(.*?)\}-", re.DOTALL)
_VARIANT: Final = re.compile(r"^\s*(zh(?:-[a-z]+)?)\s*:\s*(.*)$", re.DOTALL)
_PREFERRED: Final = ("zh-hans", "zh-cn", "zh")
_MAGIC_WORD: Final = re.compile(r"__[A-Z]+__")
_INTERLANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*")
_BOUNDARY: Final = re.compile(
    r"\{\{|\}\}|\{\||\|\}|-\{|\}-|\[\[|\]\]|\[(?=\w*:?//)|\]|</|/>|<(?!br\b|hr\b|li\b|!--)(?=[a-z])",
    re.IGNORECASE,
)
_BOUNDARIES: Final = {
    **dict.fromkeys(("{{", "{|", "-{"), ("{{", 1)),
    **dict.fromkeys(("}}", "|}", "}-"), ("{{", -1)),
    "[[": ("[[", 1),
    "]]": ("[[", -1),
    "[": ("[", 1),
    "]": ("[", -1),
    "</": ("<", -1),
    "/>": ("<", -1),
}
_DROPPED_TAGS: Final = frozenset({"ref", "references", "table", "gallery", "imagemap", "timeline", "score"})
_FORMULA_TEMPLATES: Final = frozenset({"math", "mvar", "var", "nowrap"})  # they show what they are given
_LINE_BREAKS: Final = frozenset({"br", "hr"})
_PLACEHOLDER: Final = "\ue000{}\ue001"
_PLACED: Final = re.compile("\ue000(\\d+)\ue001")
_SPACES: Final = re.compile(r"[ \t\u00a0]+")
_BLANK_LINES: Final = re.compile(r"\n\s*\n+")
_EMPTY_BRACKETS: Final = re.compile(r"[(（][\s,，;；、:：]*[)）]")


def parsing_cost(markup: str) -> int:
    """Return an upper bound of the characters a parser goes back over: most constructs open at once x length.

    Every construct that is never closed is tried, read to the end of the page and given up.
    """
    open_now = dict.fromkeys(("{{", "[[", "[", "<"), 0)
    most = 0
    for match in _BOUNDARY.finditer(markup):
        kind, change = _BOUNDARIES.get(match[0][:2], ("<", 1))
        open_now[kind] = max(0, open_now[kind] + change)
        most = max(most, sum(open_now.values()))
    return most * len(markup)


def wikitext_to_text(markup: str, media_namespaces: Collection[str]) -> str:
    """Return the readable text of a page; links into `media_namespaces` (lower-case names) are not text."""
    kept: list[str] = []

    def keep(source: str) -> str:
        kept.append(source)
        return _PLACEHOLDER.format(len(kept) - 1)

    markup = markup.replace("\ue000", "").replace("\ue001", "")
    markup = _FORMULA.sub(lambda match: keep(formula(match[2], display="block" in match[1])), markup)
    markup = _CODE.sub(lambda match: keep(match[2].strip("\n")), markup)
    markup = _CONVERSION.sub(lambda match: _variant(match[1]), markup)
    text = _text_of(mwparserfromhell.parse(markup), media_namespaces)
    text = _SPACES.sub(" ", _EMPTY_BRACKETS.sub("", _MAGIC_WORD.sub("", text)))
    text = _BLANK_LINES.sub("\n\n", "\n".join(line.strip() for line in text.split("\n"))).strip()
    return _PLACED.sub(lambda match: kept[int(match[1])], text).strip("\n")


def _text_of(code: Any, media_namespaces: Collection[str]) -> str:
    """Return the text of parsed markup in one walk; removing nodes from the tree would take quadratic time."""
    return "".join(_node_text(node, media_namespaces) for node in code.nodes) if code is not None else ""


def _node_text(node: Any, media_namespaces: Collection[str]) -> str:
    if isinstance(node, nodes.Text):
        return str(node.value)
    if isinstance(node, nodes.HTMLEntity):
        return _entity_text(node)
    if isinstance(node, nodes.Wikilink):
        if _is_media(str(node.title), media_namespaces):
            return ""
        return _text_of(node.title if node.text is None else node.text, media_namespaces)
    if isinstance(node, nodes.ExternalLink):
        return _text_of(node.title, media_namespaces)
    if isinstance(node, nodes.Heading):
        return _text_of(node.title, media_namespaces)
    if isinstance(node, nodes.Tag):
        return _tag_text(node, media_namespaces)
    if isinstance(node, nodes.Template) and str(node.name).strip().lower() in _FORMULA_TEMPLATES:
        return "".join(_text_of(parameter.value, media_namespaces) for parameter in node.params[:1])
    return ""  # other templates, their arguments, comments


def _tag_text(tag: Any, media_namespaces: Collection[str]) -> str:
    name = str(tag.tag).strip().lower()
    if name in _DROPPED_TAGS:
        return ""
    return "\n" if name in _LINE_BREAKS else _text_of(tag.contents, media_namespaces)


def _entity_text(entity: Any) -> str:
    try:
        return str(entity.normalize())
    except (ValueError, OverflowError):
        return ""


def _is_media(title: str, media_namespaces: Collection[str]) -> bool:
    prefix, colon, _ = title.partition(":")
    name = prefix.strip().lower()
    return bool(colon) and (name in media_namespaces or bool(_INTERLANGUAGE.fullmatch(name)))


def _variant(content: str) -> str:
    """Return what conversion markup shows: one variant, plain text, or nothing for mere declarations."""
    flags, bar, rules = content.partition("|")
    if bar and flags.strip() in {"H", "T", "-", "D", "N"}:
        return ""
    shown = rules if bar else content
    variants = [(match[1], match[2]) for part in shown.split(";") if (match := _VARIANT.match(part))]
    if not variants:
        return shown
    by_name = dict(variants)
    return next((by_name[name] for name in _PREFERRED if name in by_name), variants[0][1])
