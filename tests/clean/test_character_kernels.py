import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.clean.buffers import codepoints, column, utf8
from phoenix_assets.clean.character_rules import character_statistics
from phoenix_assets.clean.repetition import character_repetition

# A small alphabet repeats n-grams; it mixes one- to four-byte characters, marks and line ends.
texts = st.lists(st.one_of(st.text(max_size=60), st.text("ab 中。\n😀é-", max_size=200)), max_size=8)


def test_the_golden_document_has_its_known_character_values(golden):
    points = codepoints(pl.Series([golden]))
    row = character_statistics(points, 20).row(0, named=True)
    assert row == {"characters": 395, "special_characters": 80 / 395, "short_lines": 2 / 10}
    assert character_repetition(points, 10).to_list() == [0.04922279792746114]


@settings(deadline=None)
@given(texts)
def test_decoding_finds_the_characters_python_sees(values):
    points = codepoints(pl.Series(values, dtype=pl.String))
    found = [points.values[a:b].tolist() for a, b in zip(points.offsets, points.offsets[1:], strict=False)]
    assert found == [[ord(c) for c in text] for text in values]


@settings(deadline=None)
@given(texts)
def test_a_column_survives_the_way_through_buffers(values):
    series = pl.Series("t", values, dtype=pl.String)
    view = utf8(series)
    assert column("t", view.offsets, view.data).to_list() == values


def test_a_slice_with_nulls_is_read_like_the_values_it_shows():
    points = codepoints(pl.Series(["long skipped text", "ab", None, "c"]).slice(1))
    assert points.offsets.tolist() == [0, 2, 2, 3]
    assert points.values.tolist() == [ord(c) for c in "abc"]


@settings(deadline=None)
@given(texts)
def test_character_rules_equal_the_plain_python_ones(reference, values):
    points = codepoints(pl.Series(values, dtype=pl.String))
    found = character_statistics(points, 20)
    assert found["special_characters"].to_list() == [reference.special_characters(t) for t in values]
    assert found["short_lines"].to_list() == [reference.short_lines(t, 20) for t in values]
    for n in (1, 3, 10):
        expected = [reference.character_repetition(t, n) for t in values]
        assert character_repetition(points, n).to_list() == expected


def test_character_rules_equal_the_plain_python_ones_on_real_text(reference, english, chinese):
    values = english + chinese
    points = codepoints(pl.Series(values))
    found = character_statistics(points, 20)
    assert found["special_characters"].to_list() == [reference.special_characters(t) for t in values]
    assert found["short_lines"].to_list() == [reference.short_lines(t, 20) for t in values]
    assert character_repetition(points, 10).to_list() == [
        reference.character_repetition(t, 10) for t in values
    ]


def test_no_texts_give_no_rows():
    points = codepoints(pl.Series([], dtype=pl.String))
    assert character_statistics(points, 20).height == 0
    assert character_repetition(points, 10).len() == 0
