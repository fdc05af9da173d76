import polars as pl
import pytest

from phoenix_assets.clean.config import LidConfig
from phoenix_assets.clean.funnel import load_lid
from phoenix_assets.clean.language import fetch_lid, identify
from phoenix_assets.config import config_dir, load
from phoenix_assets.errors import PhoenixError


@pytest.fixture(scope="module")
def found(lid_path, profiles):
    model, config = load_lid(lid_path), profiles["default"].parameters.language
    return lambda *texts: identify(pl.Series(texts, dtype=pl.String), model, config)


def test_chinese_and_english_are_told_apart(found, chinese):
    table = found(
        chinese[0],
        "The quick brown fox jumps over the lazy dog, as it has done for many years.\nIt still does.",
    )
    assert table["lang"].to_list() == ["zh", "en"]
    assert table["lang_score"].min() > 0.75


def test_traditional_chinese_is_chinese(found):
    assert found("北京是中華人民共和國的首都，也是全國的政治中心與文化中心。")["lang"].to_list() == ["zh"]


def test_a_chinese_page_with_a_japanese_end_scores_below_the_threshold(found, golden, lid_path):
    row = found(golden).row(0, named=True)
    assert row["lang"] == "zh"
    assert row["lang_score"] < 0.75
    labels, probabilities = load_lid(lid_path).predict([golden[:300].replace("\n", " ")])
    assert labels[0][0] == "__label__zh"
    assert probabilities[0][0] > 0.75


def test_a_long_text_in_one_language_scores_as_its_opening(found, english):
    text = "\n".join(sorted(english, key=len)[-5:])
    long, opening = found(text, text[:300])["lang_score"]
    assert long == opening


def test_the_language_of_most_of_a_document_wins_over_its_opening(found, chinese):
    english_cover = "Annual report of the company for the shareholders and for the public. " * 5
    row = found(english_cover[:300] + "".join(chinese[:6]) * 20).row(0, named=True)
    assert row["lang"] == "zh"


def test_texts_without_letters_have_no_language(found):
    table = found("", None, "  \n", "12345 !!!")
    assert table["lang"].to_list() == [""] * 4
    assert table["lang_score"].to_list() == [0.0] * 4


def test_neighbours_do_not_change_a_score(found, english, chinese):
    together = found(*english[:20], *chinese[:5])
    alone = pl.concat([found(text) for text in (*english[:20], *chinese[:5])])
    assert together.equals(alone)


def test_a_model_with_another_checksum_is_refused(tmp_path):
    config = load(LidConfig, config_dir() / "lid.yaml").model_copy(update={"sha256": "0" * 64})
    with pytest.raises(PhoenixError, match="expected 0000"):
        fetch_lid(tmp_path, config)
    assert list(tmp_path.iterdir()) == []
