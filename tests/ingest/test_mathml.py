"""MathML becomes TeX: its annotation as it is, else element by element."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.ingest.mathml import formula, tex

# Formulas as browsers' documentation and the MathML 3 recommendation show them, with the TeX one would write.
CASES = [
    ("<mi>x</mi><mo>=</mo><mn>1</mn>", "x=1"),
    ("<msup><mi>x</mi><mn>2</mn></msup>", "x^{2}"),
    ("<msub><mi>a</mi><mrow><mi>i</mi><mo>+</mo><mn>1</mn></mrow></msub>", "a_{i+1}"),
    ("<msubsup><mo>∫</mo><mn>0</mn><mi>∞</mi></msubsup>", r"\int_{0}^{\infty}"),
    ("<mfrac><mi>a</mi><mi>b</mi></mfrac>", r"\frac{a}{b}"),
    ("<msqrt><mi>b</mi><mo>−</mo><mn>4</mn></msqrt>", r"\sqrt{b-4}"),
    ("<mroot><mi>x</mi><mn>3</mn></mroot>", r"\sqrt[3]{x}"),
    ("<mover><mi>v</mi><mo>→</mo></mover>", r"\vec{v}"),
    ("<munder><mi>lim</mi><mrow><mi>n</mi><mo>→</mo><mi>∞</mi></mrow></munder>", r"\lim_{n\to\infty}"),
    (
        "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover>",
        r"\sum_{i=1}^{n}",
    ),
    ("<mfenced open='[' close=']'><mi>a</mi><mi>b</mi></mfenced>", r"\left[a,b\right]"),
    ("<mfenced><mi>a</mi></mfenced>", r"\left(a\right)"),
    ("<mi>α</mi><mi>x</mi>", r"\alpha x"),
    ("<mi>sin</mi><mo>&#x2061;</mo><mi>x</mi>", r"\sin x"),
    ("<mtext>if </mtext><mi mathvariant='bold'>x</mi>", r"\text{if }\mathbf{x}"),
    ("<mi mathvariant='double-struck'>R</mi><mo>≤</mo><mi>rank</mi>", r"\mathbb{R}\le\operatorname{rank}"),
    (
        "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr><mtr><mtd><mn>0</mn></mtd><mtd><mn>1</mn></mtd></mtr></mtable>",
        r"\begin{matrix}1 & 0 \\ 0 & 1\end{matrix}",
    ),
    ("<mo>{</mo><mi>𝑥</mi><mo>}</mo>", r"\{x\}"),
]


@pytest.mark.parametrize(("mathml", "expected"), CASES)
def test_presentation_elements_become_tex(mathml: str, expected: str) -> None:
    assert tex(f"<math>{mathml}</math>") == expected


def test_the_annotation_wins() -> None:
    source = '<math><semantics><mi>x</mi><annotation encoding="application/x-tex">\\xi</annotation></semantics></math>'
    assert tex(source) == "\\xi"
    assert tex(source.replace("application/x-tex", "application/xml")) == "x"


@pytest.mark.parametrize(
    ("source", "display", "markdown"),
    [
        (" x ", False, "$x$"),
        (r"{\displaystyle x}", False, "$x$"),
        ("$x$", False, "$x$"),
        ("x\n y", True, "\n\n$$\nx y\n$$\n\n"),
        (" ", True, ""),
    ],
)
def test_formulas_are_set_in_dollars(source: str, display: bool, markdown: str) -> None:
    assert formula(source, display=display) == markdown


def test_a_formula_nested_without_end_is_written_as_its_text() -> None:
    assert "x" in tex("<math>" + "<msqrt>" * 400 + "<mi>x</mi>" + "</msqrt>" * 400 + "</math>")


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["<mrow>", "</mrow>", "<mfrac>", "</mfrac>", "<msup>", "<mi>x</mi>", "<mtable>", "<mtr>"]
        )
    )
)
def test_any_mathml_gives_some_tex(parts: list[str]) -> None:
    assert isinstance(tex("<math>" + "".join(parts) + "</math>"), str)
