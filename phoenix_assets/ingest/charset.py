"""Which encoding undeclared bytes are in, told from what they would say in each.

A wrong decoding of East Asian text gives characters that nobody writes. So every encoding in question is tried,
and the characters that come out are weighed: the most frequent of a language count fully, those of its everyday
range (level 1 of its national standard) in part, others nothing, impossible ones against it. Western text is left
to uchardet, whose answer must read like words.
"""

import re
import unicodedata
from itertools import pairwise
from typing import Final

from resiliparse.parse.encoding import detect_encoding

KERNEL_VERSION: Final = "2"

SAMPLE_BYTES: Final = 2**14
_EVERYDAY: Final = 0.3  # the weight of an everyday character beside a frequent one
_IMPOSSIBLE: Final = -1.0
_MIN_WEIGHT: Final = 0.35  # per foreign character; right decodings have 0.5 and more, wrong ones 0.2 and less
_MIN_UTF16_CHARACTERS: Final = 4
_MIN_ZERO_SHARE: Final = 0.1
_MAX_STRAY_ZEROS: Final = 0.2  # on the other places: "一" is U+4E00
_WESTERN: Final = "cp1252"
# They decode anything.
SINGLE_BYTE: Final = ("windows-", "iso-8859-", "iso8859-", "koi8", "cp125", "macintosh")
_MAX_ODD_SHARE: Final = 0.1  # of western letters in places where words do not have them

# The commonest 300 characters of modern Chinese and 30 of classical Chinese (after Jun Da's frequency lists), then
# the traditional forms of those that have one; the commonest 100 syllables of Korean.
_HANZI: Final = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所"
    "然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与"
    "长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己"
    "制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系"
    "气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社"
    "曰乃吾汝矣遂皆焉哉耳若故令玄操布兵"
    "這個們來為國說時會對過發後種經麼學現當沒動還進樣從實軍無與長機業將兩間問並應戰頭體見產關點話內給門兒東聲員"
    "論處義幾認條氣題爾別變總電數報結務場計資許統區隊裡麗開"
)
_HANGUL: Final = (
    "이다는에의가을고한하로지사기도어자대은를시나리인서과들해아있스라정일수그만제주전부보여장상원국구성게적면소우공조"
    "동마화용경진으오안와위신업생관방유문개물비모세계치미러무려거습니때되않없것"
)
_PUNCTUATION: Final = "，。、；：？！“”‘’（）《》〈〉「」『』【】〔〕—…·　～％"
_KANA: Final = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30FD))))
_FOREIGN_BYTE: Final = re.compile(rb"[\x80-\xff]")
# A single foreign character inside western words: two of their bytes, misread.
_ISOLATED: Final = re.compile(
    r"(?<=[A-Za-z])[^\x00-\x7f](?![^\x00-\x7f])|(?<![^\x00-\x7f])[^\x00-\x7f](?=[A-Za-z])"
)


def _rows(encoding: str, leads: range, trails: range) -> frozenset[str]:
    pairs = (bytes((lead, trail)).decode(encoding, "ignore") for lead in leads for trail in trails)
    return frozenset(pair for pair in pairs if len(pair) == 1)


_GB_LEVEL_1: Final = _rows("gb2312", range(0xB0, 0xD8), range(0xA1, 0xFF))
_BIG5_LEVEL_1: Final = _rows("big5", range(0xA4, 0xC7), range(0x40, 0xFF))
_JIS_LEVEL_1: Final = _rows("cp932", range(0x88, 0x99), range(0x40, 0xFD))
_KS_HANGUL: Final = _rows("euc_kr", range(0xB0, 0xC9), range(0xA1, 0xFF))
_CHINESE: Final = frozenset(_HANZI + _PUNCTUATION)
_JAPANESE: Final = _CHINESE | frozenset(_KANA)
_KOREAN: Final = frozenset(_HANGUL + _PUNCTUATION)
# Encoding: what is frequent and what is everyday in the texts that it is used for.
_RANGES: Final = {
    "gb18030": (_CHINESE, _GB_LEVEL_1),
    "big5hkscs": (_CHINESE, _BIG5_LEVEL_1),
    "cp932": (_JAPANESE, _JIS_LEVEL_1),
    "euc_jp": (_JAPANESE, _JIS_LEVEL_1),
    "cp949": (_KOREAN, _KS_HANGUL),
} | dict.fromkeys(
    ("utf-16-le", "utf-16-be"),
    (_JAPANESE | _KOREAN, _GB_LEVEL_1 | _BIG5_LEVEL_1 | _JIS_LEVEL_1 | _KS_HANGUL),
)
_HALF_WIDTH_KATAKANA: Final = ("\uff61", "\uff9f")


def utf16_without_mark(content: bytes) -> str | None:
    """Return the byte order of UTF-16 text whose zero bytes fall on every other place, None for other bytes."""
    sample = content[:SAMPLE_BYTES]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) < _MIN_ZERO_SHARE * len(sample) or min(even, odd) > _MAX_STRAY_ZEROS * max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def east_asian(content: bytes) -> str | None:
    """Return the East Asian encoding in which `content` reads best, None if it reads well in none."""
    sample = _sample(content)
    weights = {encoding: _weight(sample, encoding) for encoding in _RANGES}
    best = max(weights, key=weights.__getitem__)
    return best if weights[best] >= _MIN_WEIGHT else None


def likely(content: bytes) -> list[str]:
    """Return the encodings to try for text that is not UTF-8, likeliest first.

    What reads well as East Asian text is no western text: that would be valid whatever the bytes are.
    """
    if asian := east_asian(content):
        return [asian]
    guess = (detect_encoding(_sample(content)) or _WESTERN).lower()
    single = [guess] if guess.startswith(SINGLE_BYTE) else []
    last = [] if single or guess == "utf-8" else [guess]
    return [*single, _WESTERN, *last]


def reads_like_words(text: str) -> bool:
    """Tell whether the foreign characters of western text stand where words and punctuation have them.

    Against it are control characters, capitals after small letters and symbols inside words.
    """
    foreign = odd = 0
    for before, here in pairwise(f" {text}"):
        if here > "\x7f":
            foreign += 1
            inside = before.isalpha() and unicodedata.category(here)[0] in "SN"
            odd += here < "\xa0" or inside or (before.islower() and here.isupper())
    return odd <= _MAX_ODD_SHARE * foreign


def _sample(content: bytes) -> bytes:
    """Return the part that tells: from the first foreign byte on, on an even place for UTF-16."""
    first = _FOREIGN_BYTE.search(content)
    start = first.start() // 2 * 2 if first else 0
    return content[start : start + SAMPLE_BYTES]


def _weight(sample: bytes, encoding: str) -> float:
    text = sample.decode(encoding, "replace")
    foreign = [character for character in text if character > "\x7f"]
    if not foreign or (encoding.startswith("utf-16") and len(text) < _MIN_UTF16_CHARACTERS):
        return 0.0
    frequent, everyday = _RANGES[encoding]
    joined = (character for character in _ISOLATED.sub("", text) if character > "\x7f")
    return sum(_character_weight(character, frequent, everyday) for character in joined) / len(foreign)


def _character_weight(character: str, frequent: frozenset[str], everyday: frozenset[str]) -> float:
    if character in frequent:
        return 1.0
    if character in everyday:
        return _EVERYDAY
    low, high = _HALF_WIDTH_KATAKANA
    impossible = (
        character == "\ufffd" or low <= character <= high or unicodedata.category(character)[0] == "C"
    )
    return _IMPOSSIBLE if impossible else 0.0
