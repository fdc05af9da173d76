import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.clean.buffers import codepoints
from phoenix_assets.clean.character_rules import character_statistics
from phoenix_assets.clean.ngrams import repeated_ngrams, scratch
from phoenix_assets.clean.repetition import character_repetition
from phoenix_assets.clean.text_rules import text_rules
from phoenix_assets.clean.wordlists import lexicon
from phoenix_assets.clean.words import word_statistics

alphabet = st.text("ab中国 。\n😀é-人民", max_size=200)
rows = st.lists(
    st.tuples(st.text(max_size=60) | alphabet, st.sampled_from(["en", "zh", "xx", "", None])), max_size=8
)


def both(values, langs, parameters):
    points = codepoints(pl.Series(values, dtype=pl.String))
    langs = pl.Series(langs, dtype=pl.String)
    apart = [
        *character_statistics(points, parameters.short_line_characters).get_columns()[1:],
        character_repetition(points, parameters.character_ngram),
        *word_statistics(points, langs, lexicon(parameters), parameters.word_ngram).get_columns(),
    ]
    return text_rules(points, langs, lexicon(parameters), parameters), pl.DataFrame(apart)


@settings(deadline=None)
@given(rows)
def test_rules_together_equal_each_rule_alone(profiles, batch):
    together, apart = both([t for t, _ in batch], [lang for _, lang in batch], profiles["default"].parameters)
    assert together.equals(apart)


def test_rules_together_equal_each_rule_alone_on_real_text(profiles, english, chinese):
    langs = ["en"] * len(english) + ["zh"] * len(chinese)
    together, apart = both(english + chinese, langs, profiles["default"].parameters)
    assert together.equals(apart)


@settings(deadline=None)
@given(st.text("ab", min_size=1, max_size=3000), st.integers(1, 70))
def test_repeated_ngrams_are_counted_exactly(text, ngram):
    total = len(text) - ngram + 1
    if total < 1:
        return
    counts = {}
    for i in range(total):
        counts[text[i : i + ngram]] = counts.get(text[i : i + ngram], 0) + 1
    arrays = scratch(len(text)).arrays()
    distinct, repeated = repeated_ngrams(codepoints(pl.Series([text])).values, 0, total, ngram, *arrays)
    assert distinct == len(counts)
    assert sorted(arrays[-1][:repeated].tolist()) == sorted(n for n in counts.values() if n > 1)
