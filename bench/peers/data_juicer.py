"""Data-Juicer's text filters: the operators' own code, called as its executor calls them.

Computed for each document: character repetition (10-grams), word repetition (5-grams), special characters,
stop words, flagged words, number of words, then the keep decision of each. In the tool's favour:

- the operators share words through a context, as under its operator fusion;
- batches of 1000 samples (its default) are handed over as Python dictionaries: no cost of its dataset layer.

English is split on white space (its default), Chinese cut by a sentencepiece model (as in its Chinese
recipes; ours cuts with jieba's algorithm). Word lists are ours, written in the format that it reads: both
sides look up the same words.

The package installs what it misses when it first needs it; here that is an error: nothing is fetched while
measuring.
"""

import os
import re
from collections import Counter
from typing import Any

from bench.documents import read_texts

BATCH = 1000
OTHER_SPACE = re.compile(r"[^\S \t\n]")


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents and build the six operators, with models and lists from local folders only."""
    use_local_models(params)
    from data_juicer.ops.filter import (
        CharacterRepetitionFilter,
        FlaggedWordFilter,
        SpecialCharactersFilter,
        StopWordsFilter,
        WordRepetitionFilter,
        WordsNumFilter,
    )

    lang, lists = params["lang"], params["lists"]
    cut = {"lang": lang, "tokenization": lang == "zh"}
    state = {
        "lang": lang,
        "char_ngram": params["char_ngram"],
        "texts": read_texts(params["documents"], lang),
        "plain": [
            CharacterRepetitionFilter(rep_len=params["char_ngram"], max_ratio=0.106),
            SpecialCharactersFilter(max_ratio=0.3),
        ],
        "words": [
            WordRepetitionFilter(**cut, rep_len=params["word_ngram"], max_ratio=0.19),
            StopWordsFilter(**cut, min_ratio=0.0, stopwords_dir=lists),
            FlaggedWordFilter(**cut, max_ratio=0.2, flagged_words_dir=lists),
            WordsNumFilter(**cut, min_num=1, max_num=100_000),
        ],
    }
    run({**state, "texts": state["texts"][:2]})
    return state


def run(state: dict[str, Any]) -> dict[str, Any]:
    """Return the statistics of each document and whether every operator keeps it."""
    from data_juicer.utils.constant import Fields

    texts, stats, kept = state["texts"], [], []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        samples = {"text": batch, Fields.stats: [{} for _ in batch]}
        for operator in state["plain"]:
            samples = operator.compute_stats(samples)
        samples[Fields.context] = [{} for _ in batch]
        for operator in state["words"]:
            samples = operator.compute_stats_batched(samples, context=True)
        del samples[Fields.context]
        decisions = [
            list(operator.process_batched(samples)) for operator in (*state["plain"], *state["words"])
        ]
        kept += [all(row) for row in zip(*decisions, strict=True)]
        stats += samples[Fields.stats]
    return {"stats": stats, "kept": kept}


def report(state: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Return the share kept, and values to compare with ours: null where it departs from BLOOM's definition.

    Of N distinct character n-grams of which M repeat, BLOOM sums the top min(√N, N - M), Data-Juicer the top
    min(√N, M). Words: BLOOM's and ours end at every white space, Data-Juicer's at space, tab and line end
    only; Chinese is cut by another algorithm.
    """
    texts, stats, english = state["texts"], result["stats"], state["lang"] == "en"
    return {
        "documents": len(texts),
        "kept": sum(result["kept"]) / len(texts),
        "values": {
            "special_characters": [row["special_char_ratio"] for row in stats],
            "character_repetition": [
                row["char_rep_ratio"] if _same_top(text, state["char_ngram"]) else None
                for text, row in zip(texts, stats, strict=True)
            ],
            "word_repetition": [
                row["word_rep_ratio"] if english and not OTHER_SPACE.search(text) else None
                for text, row in zip(texts, stats, strict=True)
            ],
        },
    }


def _same_top(text: str, ngram: int) -> bool:
    """Return whether both definitions of character repetition sum the same number of n-grams."""
    counts = Counter(text[start : start + ngram] for start in range(len(text) - ngram + 1)).values()
    root, repeated = int(len(counts) ** 0.5), sum(count > 1 for count in counts)
    return min(root, len(counts) - repeated) == min(root, repeated)


def use_local_models(params: dict[str, Any]) -> None:
    """Make the package, before its first import, look for models in a folder and install nothing."""
    os.environ["DATA_JUICER_EXTERNAL_MODELS_HOME"] = params["models"]
    from data_juicer.utils.lazy_loader import LazyLoader

    def refuse(cls: type, package: str, *_: Any) -> None:
        raise ImportError(f"Data-Juicer wants to install {package}; add it to bench/requirements-peers.lock")

    LazyLoader._install_package = classmethod(refuse)
