"""Prints: a text is known again after whatever a stage or a format does to it, and nothing else is."""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.audit.prints import Lookout, load_prints, prints

SALT = 11
CONFIG = load_prints()
CHINESE = "\n".join(
    (Path(__file__).parents[1] / "tag" / "data" / "novel_zh.txt").read_text("utf-8").splitlines()[:20]
)
ENGLISH = argparse.__doc__ or ""
OTHER = Path(shutil.__file__).read_text("utf-8")
REWRITTEN: dict[str, Callable[[str], str]] = {
    "unchanged": str,
    "spaces and lines": lambda text: text.replace("\n", "  \r\n\t").replace(" ", "   "),
    "upper case": str.upper,
    "punctuation": lambda text: text.replace(",", "，").replace("。", "."),
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "a" <= c <= "z" else c for c in text),
    "in the middle": lambda text: OTHER[:5000] + text + OTHER[5000:],
}


def share_found(text: str, changed: str) -> float:
    lookout = Lookout(prints(pl.Series([text]), SALT, CONFIG)[0], SALT, CONFIG)
    return len(lookout.found(pl.Series([changed]))[1]) / len(lookout.wanted)


@pytest.mark.parametrize("rewrite", REWRITTEN.values(), ids=REWRITTEN)
@pytest.mark.parametrize("text", [CHINESE, ENGLISH], ids=["zh", "en"])
def test_a_text_is_known_again_after(text: str, rewrite: Callable[[str], str]) -> None:
    assert share_found(text, rewrite(text)) > 0.4


def test_a_half_of_a_text_has_about_half_of_its_prints() -> None:
    assert 0.2 < share_found(CHINESE, CHINESE[: len(CHINESE) // 2]) < 0.8


def test_another_text_has_none() -> None:
    assert share_found(CHINESE, OTHER) == share_found(ENGLISH, OTHER) == 0


def test_prints_of_another_salt_are_others() -> None:
    one, other = (set(prints(pl.Series([CHINESE]), salt, CONFIG)[0]) for salt in (1, 2))
    assert one.isdisjoint(other)


def test_every_text_has_prints_of_its_own_and_a_short_one_none() -> None:
    together = prints(pl.Series([CHINESE, "short", None, ENGLISH]), SALT, CONFIG)
    assert together.list.len().to_list() == [CONFIG.prints_per_text, 0, 0, CONFIG.prints_per_text]
    assert together[3].to_list() == prints(pl.Series([ENGLISH]), SALT, CONFIG)[0].to_list()


def test_the_texts_that_have_some_are_counted() -> None:
    lookout = Lookout(prints(pl.Series([ENGLISH]), SALT, CONFIG)[0], SALT, CONFIG)
    counts, found = lookout.found(pl.Series([OTHER, ENGLISH, ""]))
    assert counts.tolist() == [0, len(found), 0] and len(found) == CONFIG.prints_per_text
