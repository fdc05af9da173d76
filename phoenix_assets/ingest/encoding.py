"""From bytes to text: which encoding a record is in, and when it is in none.

Order of trust: a byte order mark; the zero bytes of UTF-16; valid UTF-8; the declared encoding; what the bytes read
as (`charset`). Each is tried strictly. When none fits, the likeliest one is used with U+FFFD for what it cannot
decode, as long as these are few. Encodings follow the WHATWG names, except that every GB label is read as its
superset GB18030, and Shift-JIS, EUC-KR and Big5 as theirs.
"""

from typing import Final

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

from phoenix_assets.ingest.charset import (
    SAMPLE_BYTES,
    SINGLE_BYTE,
    likely,
    reads_like_words,
    utf16_without_mark,
)
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

_BYTE_ORDER_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_SUPERSETS: Final = {
    "gbk": "gb18030",
    "gb2312": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
}
_SEVEN_BIT: Final = frozenset(
    {"iso-2022-jp", "iso2022-jp", "iso2022_jp"}
)  # also valid UTF-8, but not meant as such
_MIN_SOUND: Final = 9  # well-formed characters of UTF-8 for each broken one
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
    if (wide := utf16_without_mark(content)) and len(content) % 2 == 0:
        return _strict_or_nearly(content, [wide], limits)
    if label not in _SEVEN_BIT and (text := _as_utf8(content, limits)) is not None:
        return text, "utf-8"
    candidates = [label] if label else []
    if html and (meta := _python_name(detect_encoding(content[:SAMPLE_BYTES], from_html_meta=True))):
        candidates.append(meta)
    return _strict_or_nearly(content, [*candidates, *likely(content)], limits)


def _as_utf8(content: bytes, limits: ReaderLimits) -> str | None:
    """Return the text if it is UTF-8, or was before a few of its bytes broke."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("utf-8", "replace")
    broken = text.count(REPLACEMENT)
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    few = broken <= limits.max_replaced_share * len(text) and _MIN_SOUND * broken < foreign - broken
    return text if few else None


def _strict_or_nearly(content: bytes, candidates: list[str], limits: ReaderLimits) -> tuple[str, str]:
    for encoding in candidates:
        try:
            text = content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if not encoding.startswith(SINGLE_BYTE) or reads_like_words(text[:SAMPLE_BYTES]):
            return text, encoding
    for encoding in candidates:
        text = content.decode(encoding, "replace")
        if text.count(REPLACEMENT) <= limits.max_replaced_share * len(text):
            return text, encoding
    tried = ", ".join(dict.fromkeys(["utf-8", *candidates]))
    raise RecordRejected(RejectReason.INVALID_ENCODING, f"the text is valid in no encoding tried ({tried})")


def _python_name(label: str | None) -> str | None:
    if not label:
        return None
    name = map_encoding_to_html5(label.strip(), fallback_utf8=False)
    return _SUPERSETS.get(name.lower(), name.lower()) if name else None
