"""Text that anybody may write, made safe to look at."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.visible import visible


def test_what_cannot_be_seen_is_shown_by_its_number():
    assert visible("a\u202eb\x00c\u200bd\ufeff") == "a⟦U+202E⟧b⟦U+0000⟧c⟦U+200B⟧d⟦U+FEFF⟧"
    assert visible("\x1b[31m\u2028\ud800") == "⟦U+001B⟧[31m⟦U+2028⟧⟦U+D800⟧"


def test_what_can_be_seen_stays():
    assert visible("天下\n大势\té ，😀") == "天下\n大势\té ，😀"


def test_ends_of_lines_are_shown_when_asked_for():
    assert visible("a\nb", lines=True) == "a↵\nb"


@given(st.text(st.characters()))
def test_nothing_hidden_is_left_but_lines_and_tabs_and_marks_are_not_marked_again(text):
    shown = visible(text)
    hidden = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}
    assert not [one for one in shown if one not in "\n\t" and unicodedata.category(one) in hidden]
    assert visible(shown) == shown
