import subprocess

import kenlm
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.clean.kenlm_training import find_builder, train
from phoenix_assets.clean.ngram_model import LONGEST, PARAMETERS, SANITY, read_model
from phoenix_assets.clean.ngram_scores import BLOCK
from phoenix_assets.clean.perplexity import sentences, tokenize
from phoenix_assets.clean.scorers import BindingScorer, ProbingScorer, load_scorer
from phoenix_assets.errors import PhoenixError

ORDERS = (2, 3, 4, 5)

# "c" and "a b c" have a backoff of zero and no extension, "b" and "b c" none but an extension; there is no <unk>.
ARPA = """\\data\\
ngram 1=5
ngram 2=5
ngram 3=3

\\1-grams:
-99\t<s>\t-0.3
-1.5\t</s>
-0.9\ta\t-0.25
-1.1\tb\t0
-1.3\tc\t0

\\2-grams:
-0.4\t<s> a\t-0.125
-0.5\ta b\t-0.5
-0.6\tb c\t0
-0.7\tc </s>
-0.8\ta a\t-0.0625

\\3-grams:
-0.1\t<s> a b
-0.2\ta b c
-0.3\tb c </s>

\\end\\
"""


def both(path):
    """Return a model's scorer that reads its tables, and the one that calls KenLM."""
    return ProbingScorer(read_model(path)), BindingScorer(kenlm.Model(str(path)))


def same_scores(path, texts, lang):
    tables, binding = both(path)
    lines = tokenize(pl.Series(texts, dtype=pl.String), lang)
    return np.array_equal(tables.log10(lines), binding.log10(lines))


def binary(folder, arpa, *options):
    source, out = folder / "arpa", folder / "binary"
    source.write_text(arpa, "utf-8")
    subprocess.run([find_builder().build_binary, *options, source, out], check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def models(tmp_path_factory, kenlm_config, english, chinese):
    folder, builder = tmp_path_factory.mktemp("orders"), find_builder()
    found = {}
    for lang, texts in (("en", english[:40]), ("zh", chinese[:-1])):
        lines = sentences(pl.Series(texts), lang).to_list()
        for order in ORDERS:
            # The highest orders are pruned: their models have n-grams whose shorter ones do not stand in the ARPA file.
            prune = (0, 0, 1) if order > 3 else ()
            config = kenlm_config.model_copy(update={"order": order, "prune": prune})
            out = folder / f"{lang}{order}"
            found[lang, order] = train(lines, out, config, builder.lmplz, builder.build_binary)
    return found


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_line_of_real_documents_scores_as_in_kenlm(models, english, chinese, lang, order):
    assert same_scores(models[lang, order], [*english, *chinese], lang)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), order=st.sampled_from(ORDERS))
def test_any_words_score_as_in_kenlm(models, english, data, order):
    known = sorted({word for text in english[:10] for word in text.split()})
    word = st.one_of(
        st.sampled_from(known),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.sampled_from(
            ["<s>", "</s>", "<unk>", "naïve" * 5, "一二三四五六七八九", "eightlet", "seventeenletters0"]
        ),
    )
    lines = st.lists(st.lists(word, max_size=12).map(" ".join), max_size=8).map("\n".join)
    assert same_scores(models["en", order], data.draw(st.lists(lines, max_size=4)), "en")


@settings(max_examples=40, deadline=None)
@given(data=st.data(), order=st.sampled_from(ORDERS))
def test_any_characters_score_as_in_kenlm(models, chinese, data, order):
    character = st.one_of(st.sampled_from(chinese[-1]), st.characters(exclude_categories=["Cs"]))
    assert same_scores(
        models["zh", order], data.draw(st.lists(st.text(character, max_size=60), max_size=4)), "zh"
    )


def test_backoffs_of_zero_and_unknown_words_count_as_in_kenlm(tmp_path):
    words = ["a", "b", "c", "d"]
    texts = [" ".join((w, x, y, z)) for w in words for x in words for y in words for z in words]
    assert same_scores(binary(tmp_path, ARPA, "probing"), texts, "en")


def test_a_line_longer_than_a_block_is_scored_whole(models):
    texts = ["short line", " ".join(["the value of the argument"] * (BLOCK // 4)), "last line"]
    assert same_scores(models["en", 5], texts, "en")


def test_a_line_is_read_up_to_a_nul_as_kenlm_reads_it(models):
    assert same_scores(models["en", 3], ["the value\0of the\nthe type", "\0", "a\0"], "en")


def test_nothing_to_score_gives_no_scores(models):
    assert load_scorer(models["en", 5]).log10(tokenize(pl.Series(["", None]), "en")).tolist() == []


@pytest.mark.parametrize("options", [("trie",), ("-q", "8", "trie"), ("-a", "22", "trie")])
def test_models_of_other_types_go_through_the_binding(tmp_path, options):
    scorer = load_scorer(binary(tmp_path, ARPA, *options))
    assert isinstance(scorer, BindingScorer)
    lines = tokenize(pl.Series(["a b c", "b a d"]), "en")
    assert scorer.log10(lines).tolist() == [scorer.model.score(line) for line in lines.lines]


def test_an_arpa_file_goes_through_the_binding(tmp_path):
    path = tmp_path / "arpa"
    path.write_text(ARPA, "utf-8")
    assert isinstance(load_scorer(path), BindingScorer)


def test_a_probing_model_is_read_without_the_binding(models):
    assert isinstance(load_scorer(models["zh", 5]), ProbingScorer)


def test_a_truncated_model_is_named_with_what_it_lacks(models, tmp_path):
    whole = models["en", 2]
    model = read_model(whole)
    cut = tmp_path / "cut.binary"
    cut.write_bytes(whole.read_bytes()[: len(model.longest) * LONGEST.itemsize])
    with pytest.raises(PhoenixError, match=r"cut\.binary: .* bytes, .* make it again"):
        load_scorer(cut)


@pytest.mark.parametrize(("place", "value"), [(0, 1), (PARAMETERS.size - 4, 7)])
def test_an_order_or_a_version_that_is_not_known_is_named(models, tmp_path, place, value):
    data = bytearray(models["en", 2].read_bytes())
    data[len(SANITY) + place] = value
    path = tmp_path / "odd.binary"
    path.write_bytes(data)
    with pytest.raises(PhoenixError, match=f"(order|version) {value}"):
        load_scorer(path)


def test_a_vocabulary_of_another_version_is_named(models, tmp_path):
    data = bytearray(models["en", 2].read_bytes())
    data[(len(SANITY) + PARAMETERS.size + 2 * 8 + 7) // 8 * 8] = 9
    path = tmp_path / "odd.binary"
    path.write_bytes(data)
    with pytest.raises(PhoenixError, match="version 9 of the vocabulary"):
        load_scorer(path)


def test_what_is_no_model_at_all_is_named(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<html>", "utf-8")
    with pytest.raises(OSError, match=r"page\.html"):
        load_scorer(path)
