"""datatrove's Gopher quality and Gopher repetition filters, one after the other on each document.

Not the same rules as ours, but the same kind and amount of work: word counts, lengths, symbols, stop words
and repeated n-grams. In the tool's favour:

- its default word tokenizer (spaCy, with jieba for Chinese) costs most of its time, so it gets a bare
  splitter through its own interface: white space for English, one word for each Chinese character otherwise;
- a document that fails a rule skips the rules after it, as in its pipelines; ours computes every rule for the
  ledger;
- words are shared between the two filters by its cache; no reader, writer or pipeline is counted.

Thresholds are its defaults (the published ones); for Chinese the average word length is not checked and the
stop words are Chinese.
"""

import re
from typing import Any

from bench.documents import read_texts

HAN_OR_RUN = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")
CHINESE_STOP_WORDS = ["的", "了", "是", "在", "不", "有", "和", "我"]


def splitter(lang: str) -> Any:
    """Return a bare word splitter of the tool's own type."""
    from datatrove.utils.word_tokenizers import WordTokenizer

    class Splitter(WordTokenizer):
        def word_tokenize(self, text: str) -> list[str]:
            return text.split() if self.language == "en" else HAN_OR_RUN.findall(text)

        def sent_tokenize(self, text: str) -> list[str]:
            return text.splitlines()

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            return [(0, len(text))]

    return Splitter(lang)


def hash_of_text(text: str) -> int:
    """Return xxHash of a text: the tool's own function hands it text, which the library no longer takes."""
    from xxhash import xxh64_intdigest

    return int(xxh64_intdigest(text.encode()))


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents and build both filters with a bare word splitter for the language."""
    from datatrove.data import Document
    from datatrove.pipeline.filters.gopher_quality_filter import GopherQualityFilter
    from datatrove.pipeline.filters.gopher_repetition_filter import GopherRepetitionFilter

    words = splitter(params["lang"])
    texts = read_texts(params["documents"], params["lang"])
    chinese = (
        {"min_avg_word_length": None, "stop_words": CHINESE_STOP_WORDS} if params["lang"] == "zh" else {}
    )
    return {
        "documents": [Document(text=text, id=str(number)) for number, text in enumerate(texts)],
        "filters": [
            GopherQualityFilter(language=words, **chinese),
            GopherRepetitionFilter(language=words),
        ],
    }


def run(state: dict[str, Any]) -> list[bool]:
    """Return whether both filters keep each document."""
    filters = [rule.filter for rule in state["filters"]]
    return [all(keep(document) is True for keep in filters) for document in state["documents"]]


def report(state: dict[str, Any], result: list[bool]) -> dict[str, Any]:
    """Return how many documents were filtered and the share kept."""
    return {"documents": len(result), "kept": sum(result) / len(result)}
