"""Normalisation: the same text, without what crawls and conversions left in it.

Each step is an expression over a text column and can be used alone; `normalize` runs those that a source's
configuration names, in one order, such that normalising twice changes nothing:

    line ends → invisible → unprintable → [traditional → simplified] → half width → abnormal words → spaces → punctuation

Steps remove or replace, they never look at other documents. What a removed word leaves behind is closed by the
step that collapses spaces.
"""

from typing import Final

import opencc
import polars as pl

from phoenix_assets.clean.config import NormalizeConfig
from phoenix_assets.clean.punctuation import unify_punctuation

KERNEL_VERSION: Final = "1"

# Zero width space, word joiner, byte order mark, soft hyphen, Mongolian separator, direction marks. The zero width
# (non-)joiners stay: Persian, Indic scripts and emoji spell with them.
INVISIBLE: Final = (
    r"[\x{00AD}\x{180E}\x{200B}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2064}\x{2066}-\x{206F}\x{FEFF}]"
)
UNPRINTABLE: Final = r"[\x00-\x08\x0B-\x1F\x7F-\x9F]"
LINE_ENDS: Final = r"\r\n?|[\x{0085}\x{2028}\x{2029}]"
SPACES: Final = r"[\x{00A0}\x{1680}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}]"

# Replacement characters, private use and non-characters, with the Latin letters and digits they are part of.
ABNORMAL: Final = r"\x{FFFD}\p{Co}\x{FDD0}-\x{FDEF}\x{FFFE}\x{FFFF}"
ABNORMAL_WORD: Final = rf"[\p{{Latin}}\p{{Nd}}{ABNORMAL}]*[{ABNORMAL}][\p{{Latin}}\p{{Nd}}{ABNORMAL}]*"

FULLWIDTH: Final = [chr(c) for c in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))]
HALFWIDTH: Final = [chr(ord(c) - 0xFEE0) for c in FULLWIDTH]


def normalize(text: pl.Series, config: NormalizeConfig) -> pl.Series:
    """Return the String column `text` normalised as `config` says. Nulls stay null; running it twice changes nothing."""
    text = _apply(text, _cleaned(pl.first(), config))
    if config.traditional_to_simplified:
        text = traditional_to_simplified(text)
    text = _apply(text, _respaced(pl.first(), config))
    return unify_punctuation(text) if config.unify_punctuation else text


def unify_line_ends(text: pl.Expr) -> pl.Expr:
    r"""End every line with `\n`, whatever the file was written with."""
    return text.str.replace_all(LINE_ENDS, "\n")


def remove_invisible(text: pl.Expr) -> pl.Expr:
    """Remove characters without width: byte order marks, zero width spaces, soft hyphens, direction marks."""
    return text.str.replace_all(INVISIBLE, "")


def remove_unprintable(text: pl.Expr) -> pl.Expr:
    """Remove ASCII and C1 control characters but newline and tab."""
    return text.str.replace_all(UNPRINTABLE, "")


def traditional_to_simplified(text: pl.Series) -> pl.Series:
    """Convert traditional to simplified Chinese (OpenCC t2s, one native call a text)."""
    converter = opencc.OpenCC("t2s")
    return text.map_elements(converter.convert, return_dtype=pl.String)


def halfwidth_alphanumerics(text: pl.Expr) -> pl.Expr:
    """Write full-width digits and Latin letters as ASCII."""
    return text.str.replace_many(FULLWIDTH, HALFWIDTH)


def remove_abnormal_words(text: pl.Expr, max_word_length: int) -> pl.Expr:
    """Remove words with abnormal characters, and runs of more than `max_word_length` printable ASCII characters.

    Sentence marks and parentheses end a run, so that unifying punctuation never makes one longer.
    """
    whole = text.str.replace_all(ABNORMAL_WORD, "")
    return whole.str.replace_all(rf"[!-~&&[^,;:!?.()]]{{{max_word_length + 1},}}", "")


def collapse_spaces(text: pl.Expr, *, keep_layout: bool) -> pl.Expr:
    """Collapse runs of spaces to one space and of blank lines to one blank line; strip lines and text.

    With `keep_layout` indentation and inner spaces stay and two blank lines may follow each other, as in code.
    """
    plain = text.str.replace_all(SPACES, " ").str.replace_all(r"(?m)[ \t]+$", "")
    if keep_layout:
        return plain.str.replace_all(r"\n{4,}", "\n\n\n").str.strip_chars("\n")
    single = plain.str.replace_all(r"[ \t]{2,}|\t", " ").str.replace_all(r"(?m)^ ", "")
    return single.str.replace_all(r"\n{3,}", "\n\n").str.strip_chars("\n ")


def _cleaned(text: pl.Expr, config: NormalizeConfig) -> pl.Expr:
    if config.unify_line_ends:
        text = unify_line_ends(text)
    if config.remove_invisible:
        text = remove_invisible(text)
    if config.remove_unprintable:
        text = remove_unprintable(text)
    return text


def _respaced(text: pl.Expr, config: NormalizeConfig) -> pl.Expr:
    if config.halfwidth_alphanumerics:
        text = halfwidth_alphanumerics(text)
    if config.remove_abnormal_words:
        text = remove_abnormal_words(text, config.max_word_length)
    if config.collapse_spaces:
        text = collapse_spaces(text, keep_layout=config.keep_layout)
    return text


def _apply(text: pl.Series, expression: pl.Expr) -> pl.Series:
    return text.to_frame().select(expression).to_series()
