import polars as pl
import pytest

from phoenix_assets.clean.buffers import codepoints
from phoenix_assets.clean.regions import regions


def kinds(text):
    return "".join(".cma"[kind] for kind in regions(codepoints(pl.Series([text]))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("用`a,b`吧", ".ccccc."),
        ("``a`b``x", "ccccccc."),
        ("一个 ` 反引号", "........"),
        ("甲\n```\n乙\n```\n丙", "..ccccccccc.."),
        ("~~~\nx\n~~~", "ccccccccc"),
        ("```\n没有结束", "........"),
        ("甲\n\tx=1\n乙", "..cccc.."),
        ("设$x,y$为", ".mmmmm."),
        ("$5和$6", "....."),
        ("$ 5$ 与 $6", "........."),
        (r"\(a\)与\[b\]", "mmmmm.mmmmm"),
        ("$$\na\n$$后", "mmmmmmm."),
        (r"\$5,\$6", "......."),
        ("见http://a.b/c。好", ".aaaaaaaaaaaa.."),
        ("(www.a.cn/x).", ".aaaaaaaaaa.."),
        ("xhttp://a", "........."),
    ],
)
def test_code_mathematics_and_addresses_are_told_from_prose(text, expected):
    assert kinds(text) == expected


def test_texts_do_not_reach_into_each_other():
    texts = ["```\nopen", "```\nclosed\n```", "$a", "b$"]
    together = regions(codepoints(pl.Series(texts)))
    assert together.tolist() == [kind for text in texts for kind in regions(codepoints(pl.Series([text])))]
