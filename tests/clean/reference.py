"""The rules of the funnel in plain Python: what the kernels must equal to the last bit.

Written from BLOOM's definitions, with strings, dictionaries and no cleverness.
"""

import math
from collections import Counter
from functools import cache

from phoenix_assets.clean.characters import SPECIAL_RANGES, parse_ranges

SPECIAL = {chr(c) for first, last in parse_ranges(SPECIAL_RANGES) for c in range(first, last + 1)}


def special_characters(text):
    return sum(c in SPECIAL for c in text) / len(text) if text else 0.0


def short_lines(text, length):
    lines = [line for line in text.split("\n") if line.strip()]
    measured = [len(strip(line)) for line in lines]
    return sum(n < length for n in measured) / len(lines) if lines else 0.0


def character_repetition(text, n):
    counts = Counter(text[i : i + n] for i in range(len(text) - n + 1))
    if not counts:
        return 0.0
    frequencies = sorted(counts.values(), reverse=True)
    repeated = sum(f > 1 for f in frequencies)
    top = min(math.isqrt(len(frequencies)), len(frequencies) - repeated)
    return sum(frequencies[:top]) / sum(frequencies)


def strip(word):
    first, last = 0, len(word)
    while first < last and (word[first] in SPECIAL or word[first].isspace()):
        first += 1
    while last > first and (word[last - 1] in SPECIAL or word[last - 1].isspace()):
        last -= 1
    return word[first:last]


def words(text):
    lowered = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    return [word for word in (strip(part) for part in lowered.split()) if word]


def word_repetition(found, n):
    counts = Counter(tuple(found[i : i + n]) for i in range(len(found) - n + 1))
    return sum(f for f in counts.values() if f > 1) / sum(counts.values()) if counts else 0.0


@cache
def phrases_of(listed):
    return frozenset(tuple(words(phrase)) for phrase in listed) - {()}


def stopwords(found, listed):
    phrases = phrases_of(tuple(listed))
    return sum((word,) in phrases for word in found) / len(found) if found else 0.0


def flagged_words(found, listed):
    phrases = phrases_of(tuple(listed))
    longest = max(map(len, phrases))
    hits = sum(
        any(tuple(found[i : i + n]) in phrases for n in range(1, longest + 1) if i + n <= len(found))
        for i in range(len(found))
    )
    return hits / len(found) if found else 0.0
