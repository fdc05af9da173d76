"""Shingle sets in plain Python: input of the peers' sketches, and of exact Jaccard similarities.

The product's definition (`config/dedup.yaml`): a token is a run of letters and digits, or one Chinese
character; a shingle is `size` consecutive tokens. Upper and lower case are the same; punctuation and white
space only separate.
"""

import re

_HAN = "\u3400-\u9fff"
TOKEN = re.compile(f"[{_HAN}]|[^\\W_{_HAN}]+")
_SEPARATORS = re.compile(r"[\W_]+")


def tokens(text: str) -> list[str]:
    """Return the tokens of a text, in lower case."""
    return TOKEN.findall(text.lower())


def of_tokens(text: str, size: int) -> set[str]:
    """Return the set of shingles of a text; a shorter text has one shingle of everything."""
    found = tokens(text)
    if len(found) < size:
        return {" ".join(found)} if found else set()
    return set(map(" ".join, zip(*(found[start:] for start in range(size)), strict=False)))


def of_characters(text: str, size: int) -> set[str]:
    """Return the same for text without spaces, several times faster: a Latin word counts by its letters."""
    plain = _SEPARATORS.sub("", text.lower())
    if len(plain) < size:
        return {plain} if plain else set()
    return {plain[start : start + size] for start in range(len(plain) - size + 1)}


def fastest(lang: str, text: str, size: int) -> set[str]:
    """Return the shingle set by the cheaper way for the language."""
    return of_characters(text, size) if lang == "zh" else of_tokens(text, size)


def spaced(lang: str, text: str) -> str:
    """Return the text for tools that cut at white space: Chinese with a blank between characters, in lower case."""
    return " ".join(_SEPARATORS.sub("", text.lower())) if lang == "zh" else text


def jaccard(left: set[str], right: set[str]) -> float:
    """Return the Jaccard similarity of two sets; 0 when both are empty."""
    union = len(left | right)
    return len(left & right) / union if union else 0.0
