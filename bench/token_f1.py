"""Compare a text with the one it should be, as both environments do (pyarrow only): F1 over the tokens in common."""

import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

TOKENS = {"en": re.compile(r"[^\W_]+"), "zh": re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")}


def token_f1(gold: str, text: str, lang: str) -> float:
    """Return the harmonic mean of precision and recall of words (a Chinese character is one), with multiplicity."""
    wanted, found = (Counter(TOKENS[lang].findall(part.lower())) for part in (gold, text))
    common = (wanted & found).total()
    return 2 * common / (wanted.total() + found.total()) if common else 0.0


def mean_token_f1(gold: str, texts: dict[str, str], lang: str) -> float:
    """Return the mean over the pages of the Parquet file `gold`; a page that is not among `texts` counts 0."""
    pages = pq.read_table(Path(gold)).to_pylist()
    return sum(token_f1(page["text"], texts.get(page["url"], ""), lang) for page in pages) / len(pages)
