import kenlm
import polars as pl
import pytest

from phoenix_assets.clean.kenlm_training import find_builder, train
from phoenix_assets.clean.perplexity import perplexity, sentences, tokenize
from phoenix_assets.clean.scorers import load_scorer
from phoenix_assets.errors import PhoenixError


@pytest.fixture(scope="module")
def models(kenlm_paths):
    return {lang: load_scorer(path) for lang, path in kenlm_paths.items()}


@pytest.fixture(scope="module")
def bindings(kenlm_paths):
    return {lang: kenlm.Model(str(path)) for lang, path in kenlm_paths.items()}


def score(models, texts, lang, max_chars=100_000):
    return perplexity(
        pl.Series(texts, dtype=pl.String), pl.Series([lang] * len(texts)), models, max_chars
    ).to_list()


def test_chinese_is_cut_into_characters_and_digits_become_zero():
    cut = tokenize(pl.Series(["中文 12\n\n B。", ""]), "zh")
    assert cut.lines.to_list() == ["中 文 0 0", "b 。"]
    assert cut.tokens.tolist() == [4, 2]
    assert cut.document.tolist() == [0, 0]


def test_english_is_cut_into_words_and_marks():
    cut = tokenize(pl.Series([None, "Don't PANIC, x_1 = 42!\n\t\nnaïve"]), "en")
    assert cut.lines.to_list() == ["don ' t panic , x_0 = 00 !", "naïve"]
    assert cut.tokens.tolist() == [9, 1]
    assert cut.document.tolist() == [1, 1]


def test_the_score_is_kenlms_own_per_token(models, bindings, english):
    text = english[1]
    lines = sentences(pl.Series([text]), "en").to_list()
    log10 = sum(bindings["en"].score(line) for line in lines)
    tokens = sum(len(line.split()) + 1 for line in lines)
    assert score(models, [text], "en") == [pytest.approx(10 ** (-log10 / tokens), rel=1e-12)]


def test_one_line_scores_as_kenlms_perplexity(models, bindings, chinese):
    line = sentences(pl.Series([chinese[0]]), "zh")[0]
    assert score(models, [chinese[0]], "zh") == [pytest.approx(bindings["zh"].perplexity(line), rel=1e-6)]


def test_shuffled_text_is_more_perplexing(models, chinese):
    shuffled = "".join(sorted(chinese[0]))
    plain, mixed = score(models, [chinese[0], shuffled], "zh")
    assert mixed > 5 * plain


def test_other_languages_and_empty_texts_have_no_score(models):
    texts = pl.Series(["Ein Satz.", "", None, "一句话。"])
    langs = pl.Series(["de", "en", "en", None])
    assert perplexity(texts, langs, models, 100).to_list() == [None] * 4


def test_only_the_first_characters_are_scored(models, english):
    bounded = score(models, [english[0]], "en", 100)
    assert bounded == score(models, [english[0][:100]], "en")
    assert bounded != score(models, [english[0]], "en")


def test_training_twice_gives_the_same_bytes(tmp_path, kenlm_config, english):
    builder = find_builder()
    lines = sentences(pl.Series(english), "en")
    paths = [
        train(lines, tmp_path / name, kenlm_config, builder.lmplz, builder.build_binary) for name in "ab"
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_training_on_nothing_says_what_to_do(tmp_path, kenlm_config):
    builder = find_builder()
    with pytest.raises(PhoenixError, match="no reference text"):
        train([], tmp_path / "none", kenlm_config, builder.lmplz, builder.build_binary)


def test_a_failing_trainer_is_quoted(tmp_path, kenlm_config):
    builder = find_builder()
    config = kenlm_config.model_copy(update={"order": 99})
    with pytest.raises(PhoenixError, match="compiled to support up to 6"):
        train(["a b c"], tmp_path / "bad", config, builder.lmplz, builder.build_binary)


def test_a_missing_builder_names_the_command(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PHOENIX_BIN", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PhoenixError, match=r"clean\.kenlm_builder"):
        find_builder()
