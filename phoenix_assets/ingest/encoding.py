"""From bytes to text: which encoding a record is in, and when it is in none.

Order of trust: a byte order mark; valid UTF-8; the declared encoding; what the bytes look like (uchardet).
Each is tried strictly. When none fits, the likeliest one is used with U+FFFD for what it cannot decode, as
long as these are few. Encodings follow the WHATWG names, except that every GB label is read as its superset
GB18030.
"""

from typing import Final

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

_BYTE_ORDER_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SUPERSETS: Final = {"gbk": "gb18030", "gb2312": "gb18030", "big5": "big5hkscs"}
_SEVEN_BIT: Final = frozenset(
    {"iso-2022-jp", "iso2022-jp", "iso2022_jp"}
)  # also valid UTF-8, but not meant as such
_LIKELY_CHINESE: Final = ("gb18030", "big5hkscs")
_SAMPLE_BYTES: Final = 2**16
REPLACEMENT: Final = "\ufffd"


def decode(
    content: bytes, limits: ReaderLimits, *, declared: str | None = None, html: bool = False
) -> tuple[str, str]:
    """Return the text of `content` and the name of its encoding.

    `declared` is a label from outside (HTTP header); with `html`, a `<meta charset>` counts as well. Raises
    RecordRejected (invalid_encoding).
    """
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return _strict_or_nearly(content, [encoding], limits)
    label = _python_name(declared)
    if label not in _SEVEN_BIT:
        try:
            return content.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            pass
    candidates = [label] if label else []
    sample = content[:_SAMPLE_BYTES]
    if html and (meta := _python_name(detect_encoding(sample, from_html_meta=True))):
        candidates.append(meta)
    if detected := _python_name(_without_mark(sample) or detect_encoding(sample)):
        candidates.append(detected)
    return _strict_or_nearly(content, candidates or ["utf-8"], limits)


def _strict_or_nearly(content: bytes, candidates: list[str], limits: ReaderLimits) -> tuple[str, str]:
    for encoding in [*candidates, *_LIKELY_CHINESE]:
        try:
            text = content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if encoding in candidates or _reads_as_chinese(text):
            return text, encoding
    for encoding in candidates:
        text = content.decode(encoding, "replace")
        if text.count(REPLACEMENT) <= limits.max_replaced_share * len(text):
            return text, encoding
    tried = ", ".join(dict.fromkeys(["utf-8", *candidates]))
    raise RecordRejected(RejectReason.INVALID_ENCODING, f"the text is valid in no encoding tried ({tried})")


def _reads_as_chinese(text: str) -> bool:
    """Tell whether at least half of the non-ASCII characters of `text` are among the common ideographs."""
    foreign = [character for character in text[:_SAMPLE_BYTES] if character > "\x7f"]
    return 2 * sum(
        "\u4e00" <= character <= "\u9fa5" or character in "，。！？：；、“”" for character in foreign
    ) >= len(foreign)


def _without_mark(sample: bytes) -> str | None:
    """Recognise UTF-16 without a byte order mark by its zero bytes, which fall on every other place."""
    zeros = sample.count(0)
    if 4 * zeros < len(sample):
        return None
    return "utf-16-le" if sample[1::2].count(0) >= sample[0::2].count(0) else "utf-16-be"


def _python_name(label: str | None) -> str | None:
    if not label:
        return None
    name = map_encoding_to_html5(label.strip(), fallback_utf8=False)
    return _SUPERSETS.get(name.lower(), name.lower()) if name else None
