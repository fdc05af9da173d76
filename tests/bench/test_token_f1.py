"""The measure of extraction quality, and the pages it is measured on."""

import pytest

from bench.pages import PAGES, Pages
from bench.token_f1 import token_f1
from phoenix_assets.config import config_dir, load
from phoenix_assets.ingest.sample.config import SampleConfig


@pytest.mark.parametrize(
    ("gold", "text", "lang", "f1"),
    [
        ("a b c d", "A, b!", "en", 2 * 1.0 * 0.5 / 1.5),
        ("a a b", "a b b", "en", 2 / 3),
        ("天下大势", "天下大势", "zh", 1.0),
        ("天下abc", "天 abc def", "zh", 2 * 2 / 6),
        ("a", "", "en", 0.0),
    ],
)
def test_tokens_in_common_count_as_often_as_both_have_them(
    gold: str, text: str, lang: str, f1: float
) -> None:
    assert token_f1(gold, text, lang) == pytest.approx(f1)


def test_there_are_thirty_pages_of_each_language_and_every_archive_is_known() -> None:
    pages = load(Pages, PAGES)
    known = load(SampleConfig, config_dir() / "sample.yaml").archives | pages.archives
    assert {page.archive for page in pages.pages} <= set(known)
    assert all(sum(page.lang == lang for page in pages.pages) >= 30 for lang in ("en", "zh"))
