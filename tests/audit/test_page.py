"""Audits as pages: text that lines up, Markdown and HTML that nobody can break out of."""

from phoenix_assets.audit.page import Page, Table, page_html, page_markdown, page_text, shown

HOSTILE = "<script>alert('x')</script> | `a` \u202e"
PAGE = Page(
    "Dataset a & b",
    story=[f"It holds {HOSTILE}."],
    facts={"rows": 12345, "none": None},
    tables=[
        Table("Few", ("name", "count"), [(HOSTILE, 7), ("标题", 12345), ("x", None)], note="a note"),
        Table("Many", ("place",), [(number,) for number in range(40)], whole=True),
        Table("Empty", ("nothing",), []),
    ],
    verification={
        "passed": False,
        "partitions": 2,
        "rows": 3,
        "files": 4,
        "problems": ["it hashes to <b>"],
        "deleted": [],
    },
)


def test_text_lines_up_also_in_chinese_and_names_long_tables_only() -> None:
    lines = page_text(PAGE).splitlines()
    assert "  标题" + " " * (len(shown(HOSTILE)) - 4) + "  12,345" in lines
    assert "  40 (all of them with --json or --html)" in lines and "Empty" not in lines
    assert lines[-2:] == [
        "verified: DOES NOT AGREE WITH THE LAKE (2 records, 3 rows, 4 files recomputed)",
        "  it hashes to <b>",
    ]


def test_html_needs_nothing_else_and_shows_hostile_text_as_text() -> None:
    html = page_html(PAGE, rows=10)
    assert "<script" not in html and "&lt;script&gt;" in html and "⟦U+202E⟧" in html
    assert "default-src 'none'" in html and "http" not in html.replace("http-equiv", "")
    assert 'class="verdict bad"' in html and "it hashes to &lt;b&gt;" in html
    assert "and 30 more: all of them with --json" in html
    assert html.count("<td") == 6 + 10


def test_markdown_cuts_tables_and_keeps_cells_in_their_columns() -> None:
    markdown = page_markdown(PAGE, rows=2)
    assert "<script" not in markdown and "\\|" in markdown
    assert "… 1 more" in markdown and "Many" not in markdown
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(table) == 4 and all(line.replace("\\|", "").count("|") == 3 for line in table)


def test_a_page_without_verification_claims_none() -> None:
    page = Page("A page")
    assert page.verdict == "" and "nothing was recomputed" in page_html(page, rows=1)
    assert "verified" not in page_text(page)


def test_values_are_shown_as_people_read_them() -> None:
    assert [shown(value) for value in (None, "", True, 1234567, 0.123456789, 1400.0, "a")] == [
        "–", "–", "yes", "1,234,567", "0.123457", "1,400", "a",
    ]  # fmt: skip
