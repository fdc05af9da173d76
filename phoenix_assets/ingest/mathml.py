r"""MathML to TeX, and formulas as Markdown.

Browsers show MathML, and the tools that make it (MediaWiki, KaTeX, Pandoc) usually keep the TeX that it came from as an
annotation: that is taken as it is. Otherwise presentation MathML is written as TeX, element by element.
"""

import re
import unicodedata
from typing import Any, Final

from resiliparse.parse.html import HTMLTree

KERNEL_VERSION: Final = "1"

_DEEPEST: Final = 60  # nested elements of a formula; what is deeper is written as its text
_DISPLAY_STYLE: Final = re.compile(r"^\{?\\(?:displaystyle|textstyle)\b\s*(.*?)\s*\}?$", re.DOTALL)
_SPACE: Final = re.compile(r"\s+")
_COMMAND_END: Final = re.compile(r"\\[A-Za-z]+$")
_LETTER: Final = re.compile(r"[A-Za-z]")
_FUNCTIONS: Final = (
    "arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max min Pr "
    "sec sin sinh sup tan tanh"
)
_FUNCTION_NAMES: Final = frozenset(_FUNCTIONS.split())
_SYMBOLS: Final = {
    "−": "-", "×": r"\times", "÷": r"\div", "±": r"\pm", "∓": r"\mp", "⋅": r"\cdot", "·": r"\cdot", "∗": "*", "∘": r"\circ",
    "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "≈": r"\approx", "≡": r"\equiv", "∼": r"\sim", "≃": r"\simeq", "≅": r"\cong",
    "≪": r"\ll", "≫": r"\gg", "∝": r"\propto", "∈": r"\in", "∉": r"\notin", "∋": r"\ni", "⊂": r"\subset", "⊆": r"\subseteq",
    "⊃": r"\supset", "⊇": r"\supseteq", "∪": r"\cup", "∩": r"\cap", "∖": r"\setminus", "∅": r"\emptyset", "∀": r"\forall",
    "∃": r"\exists", "¬": r"\neg", "∧": r"\wedge", "∨": r"\vee", "⊕": r"\oplus", "⊗": r"\otimes", "→": r"\to",
    "←": r"\leftarrow", "↔": r"\leftrightarrow", "⇒": r"\Rightarrow", "⇐": r"\Leftarrow", "⇔": r"\Leftrightarrow",
    "↦": r"\mapsto", "∞": r"\infty", "∂": r"\partial", "∇": r"\nabla", "∑": r"\sum", "∏": r"\prod", "∫": r"\int",
    "∬": r"\iint", "∮": r"\oint", "√": r"\surd", "…": r"\ldots", "⋯": r"\cdots", "⋮": r"\vdots", "⋱": r"\ddots",
    "⟨": r"\langle", "⟩": r"\rangle", "‖": r"\|", "∥": r"\parallel", "⊥": r"\perp", "∣": r"\mid", "′": "'", "″": "''",
    "ℏ": r"\hbar", "ℓ": r"\ell", "ℜ": r"\Re", "ℑ": r"\Im", "ℝ": r"\mathbb{R}", "ℂ": r"\mathbb{C}", "ℕ": r"\mathbb{N}",
    "ℤ": r"\mathbb{Z}", "ℚ": r"\mathbb{Q}", "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon",
    "ϵ": r"\epsilon", "ζ": r"\zeta", "η": r"\eta", "θ": r"\theta", "ϑ": r"\vartheta", "ι": r"\iota", "κ": r"\kappa",
    "λ": r"\lambda", "μ": r"\mu", "ν": r"\nu", "ξ": r"\xi", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "ς": r"\varsigma",
    "τ": r"\tau", "υ": r"\upsilon", "φ": r"\varphi", "ϕ": r"\phi", "χ": r"\chi", "ψ": r"\psi", "ω": r"\omega",
    "Γ": r"\Gamma", "Δ": r"\Delta", "Θ": r"\Theta", "Λ": r"\Lambda", "Ξ": r"\Xi", "Π": r"\Pi", "Σ": r"\Sigma",
    "Υ": r"\Upsilon", "Φ": r"\Phi", "Ψ": r"\Psi", "Ω": r"\Omega", "{": r"\{", "}": r"\}", "%": r"\%", "#": r"\#", "&": r"\&",
    "_": r"\_", "$": r"\$", "\\": r"\backslash",
    "\u2061": "", "\u2062": "", "\u2063": "", "\u2064": "", "\u200b": "", "\u00a0": " ", "\u2009": r"\,",
}  # fmt: skip
_OVER: Final = {
    "^": r"\hat", "ˆ": r"\hat", "~": r"\tilde", "˜": r"\tilde", "¯": r"\bar", "‾": r"\overline", "_": r"\overline",
    "→": r"\vec", "⃗": r"\vec", "˙": r"\dot", ".": r"\dot", "¨": r"\ddot", "⏞": r"\overbrace", "ˇ": r"\check",
}  # fmt: skip
_UNDER: Final = {"_": r"\underline", "‾": r"\underline", "⏟": r"\underbrace"}
_VARIANTS: Final = {
    "bold": r"\mathbf", "double-struck": r"\mathbb", "script": r"\mathcal", "fraktur": r"\mathfrak",
    "sans-serif": r"\mathsf", "monospace": r"\mathtt",
}  # fmt: skip


def formula(source: str, *, display: bool) -> str:
    """Return TeX as a Markdown formula, set off by lines of its own if it is displayed; "" for none."""
    inner = _SPACE.sub(" ", source).strip() if "\\begin" not in source else source.strip()
    if (wrapped := _DISPLAY_STYLE.match(inner)) is not None:
        inner = wrapped[1]
    inner = inner.strip().strip("$").strip()
    if not inner:
        return ""
    return f"\n\n$$\n{inner}\n$$\n\n" if display else f"${inner}$"


def tex(mathml: str) -> str:
    """Return the TeX of one `<math>` element, given as its source."""
    tree = HTMLTree.parse(mathml)
    root = tree.document.query_selector("math") if tree.document is not None else None
    if root is None:
        return ""
    for annotation in root.query_selector_all("annotation"):
        if "tex" in (annotation.get_attribute("encoding") or "").lower() and (annotation.text or "").strip():
            return str(annotation.text)
    return _SPACE.sub(" ", _row(root, 0)).strip()


def _join(parts: list[str]) -> str:
    """Return the parts one after the other, with a space where a command would run into a letter."""
    joined = ""
    for part in parts:
        if _COMMAND_END.search(joined) and _LETTER.match(part):
            joined += " "
        joined += part
    return joined


def _row(element: Any, depth: int) -> str:
    return _join([_tex(child, depth + 1) for child in element.children])


def _group(element: Any, depth: int) -> str:
    return "{" + _tex(element, depth) + "}"


def _token(element: Any) -> str:
    text = unicodedata.normalize("NFKC", " ".join((element.text or "").split())) or ""
    name = element.tag
    if name in {"mtext", "ms"}:
        return rf"\text{{{element.text or ''}}}" if text else ""
    if name in {"mi", "mo"} and text in _FUNCTION_NAMES:
        return "\\" + text
    written = _join([_SYMBOLS.get(character, character) for character in text])
    if (variant := _VARIANTS.get(element.get_attribute("mathvariant") or "")) is not None:
        return f"{variant}{{{written}}}"
    return (
        rf"\operatorname{{{written}}}"
        if name == "mi" and len(text) > 1 and text.isalpha() and text.isascii()
        else written
    )


def _tex(element: Any, depth: int) -> str:
    """Return the TeX of a presentation element; of one that is not known, that of its content."""
    name, children = element.tag, list(element.children)
    if depth > _DEEPEST:
        return " ".join((element.text or "").split())
    if name in {"mi", "mn", "mo", "mtext", "ms"}:
        return _token(element)
    if name in {"annotation", "annotation-xml", "mphantom"}:
        return ""
    if name == "mspace":
        return " "
    if name == "msqrt":
        return rf"\sqrt{{{_row(element, depth)}}}"
    if name == "mfenced":
        return _fenced(element, children, depth)
    if name in {"mtable", "mtr", "mlabeledtr"}:
        return _table(element, depth) if name == "mtable" else _row(element, depth)
    if len(children) >= 2 and name in {
        "mfrac",
        "mroot",
        "msup",
        "msub",
        "msubsup",
        "mover",
        "munder",
        "munderover",
    }:
        return _script(name, children, depth)
    return _row(element, depth)


def _script(name: str, children: list[Any], depth: int) -> str:
    """Return fractions, roots and what stands above or below: elements of two or three children."""
    first, second = children[0], children[1]
    below, above = _group(second, depth + 1), _group(children[-1], depth + 1)
    if name == "mfrac":
        return rf"\frac{_group(first, depth + 1)}{below}"
    if name == "mroot":
        return rf"\sqrt[{_tex(second, depth + 1)}]{_group(first, depth + 1)}"
    mark = " ".join((second.text or "").split())
    if name == "mover" and mark in _OVER:
        return f"{_OVER[mark]}{_group(first, depth + 1)}"
    if name == "munder" and mark in _UNDER:
        return f"{_UNDER[mark]}{_group(first, depth + 1)}"
    base = _tex(first, depth + 1)
    if first.tag in {"mrow", "mfrac", "msup", "msub", "msubsup"} and base:
        base = "{" + base + "}"
    if name in {"msup", "mover"}:
        return f"{base}^{above}"
    return f"{base}_{below}" if len(children) == 2 else f"{base}_{below}^{above}"


def _fenced(element: Any, children: list[Any], depth: int) -> str:
    opening, closing = element.get_attribute("open"), element.get_attribute("close")
    separators = (element.get_attribute("separators") or ",").split() or [""]
    parts = [_tex(child, depth + 1) for child in children]
    inner = "".join(
        part + (separators[min(place, len(separators) - 1)] if place < len(parts) - 1 else "")
        for place, part in enumerate(parts)
    )
    left = _SYMBOLS.get(opening or "", opening) if opening is not None else "("
    right = _SYMBOLS.get(closing or "", closing) if closing is not None else ")"
    return rf"\left{left or '.'}{inner}\right{right or '.'}"


def _table(element: Any, depth: int) -> str:
    rows = [
        " & ".join(_row(cell, depth + 2) for cell in row.children if cell.tag == "mtd")
        for row in element.children
        if row.tag in {"mtr", "mlabeledtr"}
    ]
    return r"\begin{matrix}" + r" \\ ".join(rows) + r"\end{matrix}"
