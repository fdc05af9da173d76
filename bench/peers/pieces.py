"""Tokens for KenLM as our model was trained on them, by the plainest Python there is.

The tools cut with a sentencepiece model that goes with the KenLM models on the web. Here all sides score with
one and the same KenLM model, so all must cut as it was trained; this is also much cheaper than sentencepiece.
"""

import re

WORD_OR_MARK = re.compile(r"\w+|[^\w\s]")
DIGIT = re.compile(r"\d")


def pieces(text: str, lang: str) -> list[str]:
    """Return Chinese characters, or words and marks in lower case; digits are 0."""
    zeroed = DIGIT.sub("0", text.lower())
    return list("".join(zeroed.split())) if lang == "zh" else WORD_OR_MARK.findall(zeroed)
