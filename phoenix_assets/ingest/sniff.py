"""What a file is, by its content: magic bytes, what an archive holds, the root of XML, the keys of JSON.

Names come from strangers: one counts only where it confirms what the content looks like, which is source code. The same
evidence serves twice: a file that is something else than
its manifest says is refused, and in a delivery of mixed files each one's reader is found.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from phoenix_assets.ingest import docx, fb2, mobi, parallel
from phoenix_assets.ingest.archives import open_zip
from phoenix_assets.ingest.charset import east_asian, utf16_without_mark
from phoenix_assets.ingest.config import CodeRules, Format, ReaderLimits
from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.ingest.source_code import language
from phoenix_assets.ingest.streams import PDF_MAGIC, PDF_WITHIN, ZIP_MAGICS, ZSTD_MAGIC, peek
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

_ZIP: Final = "a zip archive"
_BOOK: Final = "a Mobipocket book"
_OFFICE: Final = "a Microsoft Office file"
_TEXT: Final = "text"
# Magic bytes at the beginning of a file, and what it is. Formats not among them are text, compressed or not.
_MAGIC: Final = (
    (PDF_MAGIC, "PDF"),
    *((magic, _ZIP) for magic in ZIP_MAGICS),
    (ZSTD_MAGIC, "zstd"),
    (b"WARC/", "WARC"),
    (b"filedesc://", "ARC"),
    (b"\x7fELF", "an executable"),
    (b"MZ\x90", "an executable"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"\xd0\xcf\x11\xe0", _OFFICE),
    (b"{\\rtf", "RTF"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PAR1", "Parquet"),
)
_LOOKS: Final[Mapping[str, frozenset[str]]] = {
    Format.WARC: frozenset({"WARC", "zstd"}),
    Format.ARC: frozenset({"ARC"}),
    Format.PDF: frozenset({"PDF"}),
    Format.EPUB: frozenset({_ZIP}),
    Format.DOCX: frozenset({_ZIP}),
    Format.MOBI: frozenset({_BOOK}),
    Format.AZW3: frozenset({_BOOK}),
    Format.FB2: frozenset({_TEXT, _ZIP}),
    Format.CODE: frozenset({_TEXT, _ZIP}),
    Format.PARQUET: frozenset({"Parquet"}),
}
_OF_KIND: Final = {
    "PDF": Format.PDF,
    "WARC": Format.WARC,
    "ARC": Format.ARC,
    "zstd": Format.WARC,
    "Parquet": Format.PARQUET,
    _BOOK: Format.MOBI,
}
_OF_ROOT: Final = {
    "fictionbook": Format.FB2,
    "mediawiki": Format.MEDIAWIKI,
    "tmx": Format.TMX,
} | dict.fromkeys(("html", "head", "body"), Format.HTML)
# Keys that tell a layout, in the order they are looked for.
_OF_KEYS: Final = (
    (frozenset({"messages", "conversations", "instruction"}), Format.INSTRUCT_JSONL),
    (frozenset({"gradeName", "subjectName", "discipline", "knowledgeNames", "typeValue"}), Format.K12_JSONL),
    (frozenset({"text"}), Format.JSONL),
    (frozenset({"question"}), Format.QA_JSONL),
    (frozenset({"content"}), Format.ARTICLE_JSONL),
)
_HEAD_BYTES: Final = 2**16
_ROOT: Final = re.compile(
    rb"\s*(?:<\?[^>]*>\s*|<!--.*?-->\s*|<!DOCTYPE[^>]*>\s*)*<(?:[\w.-]+:)?([A-Za-z]+)", re.DOTALL
)
_JSON: Final = re.compile(rb"\s*([{[])\s*[{\"]")
_KEY: Final = re.compile(rb'"(\w{1,40})"\s*:')
_TABLE_LINES: Final = 50
_MIN_TABLE_LINES: Final = 3  # the names and two rows
_NAME: Final = re.compile(r"\w[\w .-]{0,40}")
# Ends, beginnings and comments that lines of code have and those of prose do not.
_CODE_LINE: Final = re.compile(
    rb".*[;{}]$|.*[\w)\]]\(.*\)?[:,]?$|[\])}]+[,;:]?$|@\w|(?://|/\*|\*/|\* |--|#|%|;)"
    rb"|(?:def|class|import|from|return|if|elif|else|for|while|try|except|with|func|fn|let|const|var|package|use|using|"
    rb"public|private|static|struct|enum|type|module|end|include|local|pub|impl|select|insert|create)\b.*[:;({\])\"'\w]$"
    rb"|[\w.\[\]\"']+\s*(?::=|[-+*/|&]?=|:|=>|<-)\s*\S",
    re.IGNORECASE,
)
_CONTROL: Final = bytes(set(range(0x20)) - set(b"\t\n\r\f\x1b"))
_BYTE_ORDER_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")  # the stream that holds a document with a password


def refuse_mismatch(path: Path, format: str, limits: ReaderLimits) -> None:
    """Raise RecordRejected if the content shows that the file is something else than its format says."""
    head = peek(path, _HEAD_BYTES)
    if not head:
        return  # damaged at its very beginning: the reader will say how
    kind = _kind(head)
    if format == Format.DOCX and kind == _OFFICE and _has_password(path, limits):
        raise RecordRejected(RejectReason.ENCRYPTED, "the document is protected by a password")
    if kind not in _LOOKS.get(format, frozenset({_TEXT})):
        detail = (
            f"the manifest says {format}, but the content looks like {kind}; correct the format or the file"
        )
        raise RecordRejected(RejectReason.CORRUPT, detail)
    if format == Format.MEDIAWIKI and b"<mediawiki" not in head:
        detail = "the manifest says mediawiki, but the file does not begin with a <mediawiki> element"
        raise RecordRejected(RejectReason.CORRUPT, detail)


def recognise(path: Path, limits: ReaderLimits) -> Format:
    """Return the format of a file. Raises RecordRejected: unknown_format, or what is wrong with an archive."""
    head = peek(path, _HEAD_BYTES)
    kind = _kind(head)
    if kind == _ZIP:
        found = _of_archive(path, limits)
    elif kind == _OFFICE:
        found = Format.DOCX if _has_password(path, limits) else None
    else:
        found = _of_text(head, path.name, limits) if kind == _TEXT else _OF_KIND.get(kind)
    if found is None:
        what = "bytes that are no text" if kind == _TEXT else kind
        detail = f"the content looks like {what}, which no reader takes; deliver it in another format"
        raise RecordRejected(RejectReason.UNKNOWN_FORMAT, detail)
    return found


def _kind(head: bytes) -> str:
    if head[mobi.MAGIC_AT :].startswith(mobi.MAGIC):
        return _BOOK
    found = next((kind for magic, kind in _MAGIC if head.startswith(magic)), _TEXT)
    return "PDF" if found == _TEXT and PDF_MAGIC in head[:PDF_WITHIN] else found


def _of_archive(path: Path, limits: ReaderLimits) -> Format | None:
    names = [name.lower() for name in open_zip(path, limits).names]
    if docx.BODY in names:
        return Format.DOCX
    if any(
        name.endswith(("meta-inf/container.xml", ".opf", ".xhtml")) or name == "mimetype" for name in names
    ):
        return Format.EPUB
    return Format.FB2 if any(name.endswith(fb2.SUFFIX) for name in names) else None


def _of_text(head: bytes, name: str, limits: ReaderLimits) -> Format | None:
    plain = head.removeprefix(b"\xef\xbb\xbf").lstrip(b"\xff\xfe").replace(b"\0", b"")  # ASCII also of UTF-16
    root, json = _ROOT.match(plain), _JSON.match(plain)
    if root and (name := root[1].decode("ascii").lower()) in _OF_ROOT:
        return _OF_ROOT[name]
    if plain.lstrip()[:5] == b"<?xml":
        return None
    if json:
        return _of_json(plain, is_array=json[1] == b"[")
    if not _is_text(head):
        return None
    if table := _of_table(plain):
        return table
    written_in = language(name, limits)
    is_code = written_in and written_in not in limits.code.prose_languages and _is_code(plain, limits.code)
    return Format.CODE if is_code else Format.TXT


def _of_table(head: bytes) -> Format | None:
    """Return the format of lines that a tab cuts into as many cells each as the first one has names."""
    lines = [line for line in head.splitlines()[:_TABLE_LINES] if line.strip()]
    names = [name.strip() for name in lines[0].decode("utf-8", "replace").split("\t")] if lines else []
    widths = {line.count(b"\t") + 1 for line in lines[: max(_MIN_TABLE_LINES, len(lines) - 1)]}
    if len(lines) < _MIN_TABLE_LINES or len(names) < 2 or widths != {len(names)}:
        return None
    if not all(map(_NAME.fullmatch, names)) or len(set(names)) < len(names):
        return None
    return Format.PARALLEL_TSV if all(map(parallel.LANGUAGE.fullmatch, names)) else Format.CSV


def _is_code(head: bytes, rules: CodeRules) -> bool:
    lines = [line.strip() for line in head.splitlines() if line.strip()]
    if lines and lines[0].startswith(b"#!"):
        return True
    return sum(bool(_CODE_LINE.match(line)) for line in lines) >= rules.code_line_share * max(len(lines), 1)


def _of_json(head: bytes, *, is_array: bool) -> Format:
    first = head.lstrip().partition(b"\n")[0]
    if is_array or (len(first) < len(head.strip()) and not first.rstrip().endswith(b"}")):
        return Format.JSON
    keys = {key.decode() for key in _KEY.findall(first)}
    return next((format for names, format in _OF_KEYS if keys & names), Format.JSONL)


def _is_text(head: bytes) -> bool:
    if head.startswith(_BYTE_ORDER_MARKS) or utf16_without_mark(head):
        return True
    return len(head.translate(None, _CONTROL)) == len(head) or (east_asian(head) or "").startswith("utf-16")


def _has_password(path: Path, limits: ReaderLimits) -> bool:
    with path.open("rb") as stream:
        return _ENCRYPTED in stream.read(limits.max_member_bytes)
