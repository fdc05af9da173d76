"""What documents belong to: files, deliveries, or a field of their meta, and in which order."""

import polars as pl
import pytest

from phoenix_assets.order.belonging import BELONGING, belonging, of_rows

DOCUMENTS = pl.DataFrame(
    [
        ("b2", "book", "d1", "novel.epub#OEBPS/b.xhtml", '{"chapter":2,"isbn":"1"}'),
        ("c1", "code", "d1", "repo.tar.gz#repo/a.py", '{"position":1,"repository":"repo"}'),
        ("b10", "book", "d1", "novel.epub#OEBPS/a.xhtml", '{"chapter":10,"isbn":"1"}'),
        ("c0", "code", "d1", "repo.tar.gz#repo/z.py", '{"position":0,"repository":"repo"}'),
        ("q10", "qa", "d2", "faq.jsonl#10", "{}"),
        ("q9", "qa", "d2", "faq.jsonl#9", "{}"),
        ("q1", "qa", "d3", "faq.jsonl#1", "{}"),
    ],
    schema=["doc_id", "source", "delivery", "locator", "meta"],
    orient="row",
)


def wholes(by: str) -> list[list[str]]:
    found = belonging(DOCUMENTS.lazy(), by).collect()
    assert found.schema == BELONGING
    return sorted(found.sort("rank").group_by("whole").agg("doc_id")["doc_id"].to_list())


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("file", [["b2", "b10"], ["c0", "c1"], ["q1"], ["q9", "q10"]]),
        ("delivery", [["b2", "b10"], ["c0", "c1"], ["q1"], ["q9", "q10"]]),
        ("meta.isbn", [["b2", "b10"]]),
        ("meta.repository", [["c0", "c1"]]),
    ],
)
def test_documents_that_agree_are_together_in_the_order_of_their_file(
    by: str, expected: list[list[str]]
) -> None:
    assert wholes(by) == expected


def test_rows_without_a_whole_belong_to_nothing_and_copies_to_the_same() -> None:
    found = belonging(DOCUMENTS.lazy(), "meta.isbn").collect()
    rows = of_rows([pl.Series(["b10", "c0"]), pl.Series(["b2", "b10"])], found)
    assert rows.whole.tolist() == [0, -1, 0, 0]
    assert rows.rank[0] == rows.rank[3] > rows.rank[2]
