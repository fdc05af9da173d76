"""The team's layouts for purchased data: a vendor's record, field by field, to the text of a document.

A missing or blank field drops its label, never leaves an empty one. A field of the wrong type is an error of
the vendor's, not a missing field.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from phoenix_assets.fields import COMMENT
from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

# Label and the names its field goes by, in the order of the text; a line each.
_K12_HEAD: Final = (
    ("区域：", ("region",)),
    ("学段：", ("period",)),
    ("学科：", ("discipline", "subjectName")),
    ("年级：", ("gradeName",)),
    ("册次：", ("volumeName",)),
    ("难度：", ("complexValue",)),
    ("题目类型：", ("typeValue", "question_type", "categoryValue", "bigType")),
)
_K12_BODY: Final = (
    ("题目：", ("question", "title")),
    ("题目分析：", ("analysis", "explain")),
    ("考察知识点：", ("knowledgeNames",)),
    ("材料：", ("material",)),
    ("参考范文：", ("modelEssay",)),
    ("写作指导:", ("guide",)),
    ("答案：", ("answers",)),
)


def qa_text(fields: Mapping[str, Any]) -> str:
    """Return a question and its answer as text.

    Fields: question, answer (or content), author, pub_time, comments (a list) or comment1, comment2, … Raises
    RecordRejected (corrupt) for a field of the wrong type.
    """
    question = text_field(fields, "question")
    content = text_field(fields, "answer", "content")
    answer = _body(fields, content) if content else ""
    parts = [f"问：{question}" if question else "", f"答：{answer}" if answer else ""]
    return _with_comments("\n".join(filter(None, parts)), fields)


def article_text(fields: Mapping[str, Any]) -> str:
    """Return an article as text; fields title, author, pub_time, content, comments. Raises like `qa_text`."""
    title, content = text_field(fields, "title"), text_field(fields, "content")
    parts = [f"标题：{title}" if title else "", _body(fields, content)]
    joint = "\n" if _byline(fields) or not content else "\n\n"
    return _with_comments(joint.join(filter(None, parts)), fields)


def k12_text(fields: Mapping[str, Any]) -> str:
    """Return a school exercise as text: one line of labels, then a line a field. Raises like `qa_text`."""
    head = " ".join(_labelled(fields, _K12_HEAD))
    return "\n".join(filter(None, (head, *_labelled(fields, _K12_BODY))))


def text_field(fields: Mapping[str, Any], *names: str) -> str:
    """Return the first non-blank of the named fields, stripped, "" if there is none.

    Raises RecordRejected (corrupt) for anything but text.
    """
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise _wrong_type(name, value, "text")
        if value.strip():
            return value.strip()
    return ""


def _labelled(fields: Mapping[str, Any], labels: tuple[tuple[str, tuple[str, ...]], ...]) -> list[str]:
    values = ((label, _plain_field(fields, names)) for label, names in labels)
    return [f"{label}{value}" for label, value in values if value]


def _plain_field(fields: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return the first non-blank of the named fields; numbers and lists of texts count as text here."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value) if math.isfinite(value) else None
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            value = "，".join(item.strip() for item in value if item.strip())
        if value is not None and not isinstance(value, str):
            raise _wrong_type(name, value, "text, a number or a list of texts")
        if value and value.strip():
            return value.strip()
    return ""


def _byline(fields: Mapping[str, Any]) -> str:
    author, published = text_field(fields, "author"), text_field(fields, "pub_time")
    return "\n".join(filter(None, (author and f"作者：{author}", published and f"发表时间：{published}")))


def _body(fields: Mapping[str, Any], content: str) -> str:
    return "\n\n".join(filter(None, (_byline(fields), content)))


def _with_comments(text: str, fields: Mapping[str, Any]) -> str:
    numbered = "\n".join(f"评论{number}：{comment}" for number, comment in enumerate(_comments(fields), 1))
    return "\n\n".join(filter(None, (text, numbered)))


def _comments(fields: Mapping[str, Any]) -> list[str]:
    """Return the comments that are not blank: a list, or in tables the columns `comment1`, `comment2` and so on."""
    comments = fields.get("comments")
    if comments is None:
        names = sorted((name for name in fields if COMMENT.fullmatch(name)), key=lambda name: int(name[7:]))
        return list(filter(None, (text_field(fields, name) for name in names)))
    if not isinstance(comments, list) or not all(isinstance(comment, str) for comment in comments):
        raise _wrong_type("comments", comments, "a list of texts")
    return [comment.strip() for comment in comments if comment.strip()]


def _wrong_type(name: str, value: object, expected: str) -> RecordRejected:
    detail = f"field {name!r} must be {expected}, it is {type(value).__name__}"
    return RecordRejected(RejectReason.CORRUPT, detail)
