import polars as pl
import pytest

from phoenix_assets.clean.config import load_normalize
from phoenix_assets.clean.funnel import load_lid
from phoenix_assets.clean.paragraphs import remove_foreign_paragraphs

ZH = "北京是中华人民共和国的首都，也是全国的政治中心、文化中心和国际交往中心。城市位于华北平原的北部，背靠燕山。"
EN = "The quick brown fox jumps over the lazy dog near the river bank, and nobody seems to notice it at all today."
FR = (
    "Le gouvernement a annoncé hier une nouvelle réforme du système de santé, qui devrait entrer en vigueur l'année "
    "prochaine dans tout le pays, malgré les protestations des médecins et des patients de la région parisienne."
)
RU = (
    "Правительство объявило вчера о новой реформе системы здравоохранения, которая должна вступить в силу в следующем "
    "году по всей стране, несмотря на протесты врачей и пациентов из нескольких крупных городов и областей."
)
KO = "정부는 어제 내년에 전국적으로 시행될 새로운 의료 시스템 개혁을 발표했습니다. 많은 사람들이 이를 환영했습니다."
JA = "これは日本語の文章です。とても長い文章を書いていますので、漢字もひらがなも入っています。"


@pytest.fixture(scope="module")
def pruned(lid_path):
    config = load_normalize("cc").foreign_paragraphs

    def prune(*texts):
        return remove_foreign_paragraphs(
            pl.Series("text", texts, dtype=pl.String), load_lid(lid_path), config
        )

    return prune


def test_a_chinese_page_loses_its_japanese_end(pruned, golden):
    result = pruned(golden)
    lines = golden.split("\n")
    assert result.texts.to_list() == ["\n".join(lines[:8])]
    assert result.paragraphs.tolist() == [2]
    assert result.characters.tolist() == [len(golden) - len("\n".join(lines[:8]))]


@pytest.mark.parametrize(
    ("paragraphs", "foreign"),
    [
        ([ZH, ZH, ZH, ZH, ZH, ZH, ZH, FR, FR], {7, 8}),
        ([EN, EN, EN, EN, EN, EN, RU, RU], {6, 7}),
        ([ZH, KO, ZH, ZH], {1}),
        ([EN, EN, EN, JA], {3}),
        ([ZH, EN, ZH], set()),
        ([EN, EN, ZH, EN], set()),
        ([FR, FR, FR, KO], set()),
        ([JA, JA, KO], set()),
        ([ZH, ZH, ZH, ZH, "“" + JA + "”"], set()),
        ([ZH, ZH, ZH, ZH, "> " + JA], set()),
        ([ZH, ZH, ZH, "```", JA, "```"], set()),
        ([ZH, ZH, "の", "カタカナ", "서울"], set()),
        ([ZH, ZH, ZH, ZH, FR], set()),
        (
            [EN, "Hélène Monsacré, Les larmes d'Achille. Le héros, la femme et la souffrance, Paris, 1984"],
            set(),
        ),
    ],
)
def test_paragraphs_of_languages_that_are_not_allowed_go(pruned, paragraphs, foreign):
    result = pruned("\n".join(paragraphs))
    assert result.texts.to_list() == ["\n".join(p for i, p in enumerate(paragraphs) if i not in foreign)]
    assert result.paragraphs.tolist() == [len(foreign)]


def test_blank_lines_around_a_removed_paragraph_close(pruned):
    result = pruned(f"{ZH}\n{ZH}\n\n{KO}\n\n{ZH}\n\n{KO}")
    assert result.texts.to_list() == [f"{ZH}\n{ZH}\n\n{ZH}"]


def test_what_was_removed_is_what_is_missing(pruned, chinese, english):
    texts = [*chinese[:8], *english[:8], f"{ZH}\n{ZH}\n{KO}", "", None]
    result = pruned(*texts)
    before = pl.Series(texts).str.len_chars().fill_null(0)
    assert (before - result.texts.str.len_chars().fill_null(0)).to_list() == result.characters.tolist()
    assert result.texts.null_count() == 1
    assert result.texts[:7].to_list() == texts[:7]


def test_removing_twice_changes_nothing(pruned, golden):
    once = pruned(golden, f"{ZH}\n\n{KO}\n{ZH}").texts
    assert pruned(*once).texts.to_list() == once.to_list()
