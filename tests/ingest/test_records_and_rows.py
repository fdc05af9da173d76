"""Records and rejects become rows of the shared schemas."""

import json

from phoenix_assets.ingest.records import Record, Reject, to_documents, to_quarantine
from phoenix_assets.schema import DOCUMENT, QUARANTINE, RejectReason, Stage, document_id

GOOD = Record("7", "http://e.org", "标题", "zh", "正文", {"b": 1, "a": "é", "langs": ["en", "zh"]})


def test_documents_have_the_schema_and_a_stable_id() -> None:
    documents, rejects = to_documents([("a.jsonl", GOOD)], "qa", "d1")
    assert documents.schema == DOCUMENT
    assert rejects == []
    row = documents.row(0, named=True)
    assert row["locator"] == "a.jsonl#7"
    assert row["doc_id"] == document_id("qa", "d1", "a.jsonl#7")
    assert json.loads(row["meta"]) == {"a": "é", "b": 1, "langs": ["en", "zh"]}


def test_the_order_of_meta_does_not_change_a_row() -> None:
    turned = Record("7", "http://e.org", "标题", "zh", "正文", dict(reversed(GOOD.meta.items())))
    one, other = (to_documents([("f", record)], "s", "d")[0] for record in (GOOD, turned))
    assert one.equals(other)


def test_lone_surrogates_are_rejected_wherever_they_are() -> None:
    bad = [
        Record("1", "", "", "", "a\ud800b"),
        Record("2", "", "\udfff", "", "text"),
        Record("3", "", "", "", "text", {"x": "\ud800"}),
        GOOD,
    ]
    documents, rejects = to_documents([("f", record) for record in bad], "s", "d")
    assert documents.height == 1
    assert [(file, reject.locator, reject.reason) for file, reject in rejects] == [
        ("f", number, RejectReason.INVALID_ENCODING) for number in "123"
    ]


def test_no_records_give_an_empty_table() -> None:
    assert to_documents([], "s", "d")[0].schema == DOCUMENT
    assert to_quarantine([], "s", "d", Stage.EXTRACTED).schema == QUARANTINE


def test_rejects_with_undecodable_names_can_be_written() -> None:
    reject = Reject("a\udc80.py", RejectReason.CORRUPT, "bad \udc80", b"\xff\x00")
    row = to_quarantine([("r.tar", reject)], "code", "d", Stage.EXTRACTED).row(0, named=True)
    assert (row["locator"], row["reason"], row["payload"]) == ("a\\udc80.py", "corrupt", b"\xff\x00")
    assert row["stage"] == "extracted"
