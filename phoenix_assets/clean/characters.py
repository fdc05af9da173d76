"""What is known about each character: its class, its lower case, and both together, its traits.

*Special characters* are those of BLOOM's filtering (bigscience-workshop/data_tooling, ac_dc/filtering.py and
parameters_filtering.py): ASCII punctuation, digits and white space, a list of marks and symbols seen in crawls
(which holds a few Chinese and Japanese letters, among them 一, 上, 士, ン, ー), and every emoji of one code point.
The set is `SPECIAL_RANGES`; a character that is neither special nor white space is called a letter here.

The rules over characters, lines and words read a text's traits instead of its characters, each looked up once.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from phoenix_assets.clean.buffers import Bytes, Flags, Points

KERNEL_VERSION: Final = "1"

# Code points in hexadecimal, "first-last" or single.
SPECIAL_RANGES: Final = (
    "9-D 20-40 5B-60 7B-7E 81-85 91-93 95-99 9C-9D A1-AB AD-B4 B7-BF D7 F7-F8 131 26A 2BA-2BC 2C8 2CC 2D0 2D8 "
    "2DA 2DC 3C0 413 60C 647 66A 66C 6E9 93E 940 947 94D 97D 9BE E51 2002-2003 2005 2008-200B 2010-2011 "
    "2013-2016 2018-201A 201C-2020 2022 2024 2026 202F-2030 2032-2033 2039-203A 203C 203F 2043-2044 2049 20A8 "
    "20AA 20AC 2103 2122 2139 2190-2199 21A9-21AA 21D3 2206 2208 2212 221A 221E-221F 223C 2248 2256 2264-2265 "
    "2295 22C5 231A-231B 2328 23CF 23E9-23F3 23F8-23FA 24C2 2550 25A0 25AA-25AC 25B2 25B4 25B6-25B7 25BA-25BC "
    "25C0 25C6 25CF 25E6 25FB-25FE 2600-2606 260E 2611 2614-2615 2618 261B 261D 2620 2622-2623 2626 262A "
    "262E-262F 2638-263B 2640 2642 2648-2653 265F-2661 2663 2665-2666 2668 266B 267B 267E-267F 2692-2697 2699 "
    "269B-269C 26A0-26A1 26A7 26AA-26AB 26B0-26B1 26BD-26BE 26C4-26C5 26C8 26CE-26CF 26D1 26D3-26D4 26E9-26EA "
    "26F0-26F5 26F7-26FA 26FD 2702 2705 2708-270D 270F 2712-2714 2716 271D 2721 2726 2728 2731 2733-2734 2744 "
    "2747 274C 274E 2753-2757 2763-2764 2795-2797 27A1 27A4 27A9 27B0 27BF 2800 2934-2935 2B05-2B07 2B1B-2B1C "
    "2B50 2B55 3000-3002 300A-300D 3010-3011 3030 303D 309C 30B7 30C3-30C4 30F3 30FB-30FC 3297 3299 4E00 4E0A "
    "58EB FD3E-FD3F FEFF FF01 FF08-FF09 FF0C FF0E FF11 FF1A-FF1B FF1F FF3E FF5E FFFC-FFFD 1F004 1F0CF "
    "1F170-1F171 1F17E-1F17F 1F18E 1F191-1F19A 1F201-1F202 1F21A 1F22F 1F232-1F23A 1F250-1F251 1F300-1F321 "
    "1F324-1F393 1F396-1F397 1F399-1F39B 1F39E-1F3F0 1F3F3-1F3F5 1F3F7-1F4FD 1F4FF-1F53D 1F549-1F54E "
    "1F550-1F567 1F56F-1F570 1F573-1F57A 1F587 1F58A-1F58D 1F590 1F595-1F596 1F5A4-1F5A5 1F5A8 1F5B1-1F5B2 "
    "1F5BC 1F5C2-1F5C4 1F5D1-1F5D3 1F5DC-1F5DE 1F5E1 1F5E3 1F5E8 1F5EF 1F5F3 1F5FA-1F64F 1F680-1F6C5 "
    "1F6CB-1F6D2 1F6D5-1F6D9 1F6DC-1F6E5 1F6E9 1F6EB-1F6EC 1F6F0 1F6F3-1F6FC 1F7E0-1F7EB 1F7F0 1F90C-1F93A "
    "1F93C-1F945 1F947-1F9FF 1FA70-1FA7C 1FA80-1FAC6 1FAC8 1FACC-1FADD 1FADF-1FAEB 1FAEF-1FAFA "
)

UNICODE_SIZE: Final = 0x110000
CASED_CODEPOINTS: Final = 0x1E944  # no character beyond has another case
LINE_END: Final = 10

SPECIAL, WHITE = 1, 2  # bits of a character's class
CLASS_SHIFT: Final = 24  # of the class in a character's traits; the lower case is below
LETTERS: Final = (1 << CLASS_SHIFT) - 1  # traits up to here are those of letters
TRAIT_PADDING: Final = 8  # traits behind a text's, so that a word can be read in eights

WHITESPACE: Final = (
    "9-D 1C-20 85 A0 1680 2000-200A 2028 2029 202F 205F 3000"  # what str.isspace() calls white space
)


def parse_ranges(ranges: str) -> list[tuple[int, int]]:
    """Return the (first, last) code points of a list like "9-D 20 3000"."""
    pairs = (item.split("-") for item in ranges.split())
    return [(int(pair[0], 16), int(pair[-1], 16)) for pair in pairs]


@cache
def character_table(ranges: str) -> Flags:
    """Return an array over all code points that is true at those of `ranges`."""
    table = np.zeros(UNICODE_SIZE, np.bool_)
    for first, last in parse_ranges(ranges):
        table[first : last + 1] = True
    table.setflags(write=False)
    return table


@cache
def class_table() -> Bytes:
    """Return the class of each code point: the bits SPECIAL and WHITE; 0: a letter."""
    table = np.zeros(UNICODE_SIZE, np.uint8)
    table[character_table(SPECIAL_RANGES)] |= np.uint8(SPECIAL)
    table[character_table(WHITESPACE)] |= np.uint8(WHITE)
    table.setflags(write=False)
    return table


@cache
def lower_table() -> npt.NDArray[np.int32]:
    """Return the lower case of each code point, where that is one code point too; else the code point itself."""
    lowered = [chr(point).lower() for point in range(CASED_CODEPOINTS)]
    table = np.array([ord(low) if len(low) == 1 else i for i, low in enumerate(lowered)], np.int32)
    table.setflags(write=False)
    return table


@cache
def _trait_table() -> Points:
    """Return the traits of each code point: its lower case in the low bits, its class of `class_table` above."""
    traits = np.arange(UNICODE_SIZE, dtype=np.uint32)
    traits[:CASED_CODEPOINTS] = lower_table()
    traits |= class_table().astype(np.uint32) << np.uint32(CLASS_SHIFT)
    traits.setflags(write=False)
    return traits


def trait_memory(longest: int) -> tuple[Points, Points]:
    """Return what `traits_of` reads, and memory for texts of up to `longest` characters and `TRAIT_PADDING` more."""
    return _trait_table(), np.empty(longest + TRAIT_PADDING, np.uint32)


@njit(cache=True, nogil=True)
def traits_of(
    text: Points,
    memory: tuple[Points, Points],
) -> Points:
    """Return the traits of a text: a part of the memory of `trait_memory`."""
    table, room = memory
    for i in range(np.uint64(len(text))):
        room[i] = table[text[i]]
    return room[: len(text)]
