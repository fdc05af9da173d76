"""A histogram for a terminal: what is more than nothing is visible, and bounds stand where they belong."""

from phoenix_assets.cli.terminal_histogram import bar, histogram_text


def test_the_longest_bar_has_the_full_width_and_one_document_is_visible():
    lines = histogram_text([0, 1, 2, 3], [1, 1000, 0], {}, rows=3, width=10).splitlines()
    assert [line.split("│")[1][:10].strip() for line in lines] == ["▏", "█" * 10, ""]
    assert [line.split()[-1] for line in lines] == ["1", "1,000", "0"]


def test_a_bound_is_named_in_the_range_it_lies_in():
    lines = histogram_text([0, 1, 2, 3], [1, 1, 1], {"now": 1.5, "end": 3}, rows=3, width=5).splitlines()
    assert [("◄ now" in line, "◄ end" in line) for line in lines] == [
        (False, False),
        (True, False),
        (False, True),
    ]


def test_bins_are_joined_to_fit_and_none_is_lost():
    lines = histogram_text(list(range(8)), [1] * 7, {}, rows=3, width=5).splitlines()
    assert [int(line.split()[-1]) for line in lines] == [3, 3, 1]


def test_bars_are_drawn_in_eighths():
    assert [bar(length) for length in (0, 0.01, 0.5, 1, 2.25)] == ["", "▏", "▌", "█", "██▎"]
