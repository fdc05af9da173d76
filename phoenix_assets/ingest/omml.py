"""Office MathML as one line of text, in the notation of UnicodeMath: a/b, x^2, x_i, √(x), matrices in brackets."""

from collections.abc import Callable, Mapping
from typing import Final
from xml.etree.ElementTree import Element

KERNEL_VERSION: Final = "1"

_PROPERTIES: Final = "Pr"  # the elements fPr, rPr, naryPr, … hold settings, but for some signs


def linear_formula(element: Element) -> str:
    """Return the text of an `m:oMath` element (local names)."""
    return "".join(map(_node, element)).strip()


def _node(element: Element) -> str:
    if element.tag == "t":
        return element.text or ""
    if element.tag.endswith(_PROPERTIES):
        return ""
    shape = _SHAPES.get(element.tag)
    return shape(element) if shape else "".join(map(_node, element))


def _part(element: Element, name: str) -> str:
    """Return a part of a construct, in brackets if it is more than one sign."""
    text = _plain(element, name)
    return text if len(text) <= 1 or text.isalnum() else f"({text})"


def _plain(element: Element, name: str) -> str:
    found = element.find(name)
    return "" if found is None else linear_formula(found)


def _sign(element: Element, path: str, default: str) -> str:
    found = element.find(path)
    return default if found is None else found.get("val", "")


def _scripted(element: Element) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    return _part(element, "e") + (f"_{below}" if below else "") + (f"^{above}" if above else "")


def _sum(element: Element) -> str:
    below, above = _part(element, "sub"), _part(element, "sup")
    sign = _sign(element, "naryPr/chr", "∫")
    return sign + (f"_{below}" if below else "") + (f"^{above}" if above else "") + f" {_plain(element, 'e')}"


def _root(element: Element) -> str:
    return f"{_part(element, 'deg')}√{_part(element, 'e')}"


def _brackets(element: Element) -> str:
    inside = _sign(element, "dPr/sepChr", "|").join(linear_formula(part) for part in element.findall("e"))
    return _sign(element, "dPr/begChr", "(") + inside + _sign(element, "dPr/endChr", ")")


def _matrix(element: Element) -> str:
    rows = (" & ".join(linear_formula(cell) for cell in row.findall("e")) for row in element.findall("mr"))
    return f"[{'; '.join(rows)}]"


_SHAPES: Final[Mapping[str, Callable[[Element], str]]] = {
    "f": lambda element: f"{_part(element, 'num')}/{_part(element, 'den')}",
    "sSup": _scripted,
    "sSub": _scripted,
    "sSubSup": _scripted,
    "nary": _sum,
    "rad": _root,
    "d": _brackets,
    "m": _matrix,
    "func": lambda element: f"{_plain(element, 'fName')} {_plain(element, 'e')}",
    "limLow": lambda element: f"{_plain(element, 'e')}_{_part(element, 'lim')}",
    "limUpp": lambda element: f"{_plain(element, 'e')}^{_part(element, 'lim')}",
}
