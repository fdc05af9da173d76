"""datatrove's filters with models: language identification, Gopher quality and repetition, perplexity.

What `bench/peers/datatrove.py` says holds here too; moreover, in the tool's favour, the normaliser that goes
before its KenLM is left out and the text is cut into tokens as cheaply as Python can.

`LanguageFilter` and `KenlmModel` load files from the web: they get the models of the request instead, the
same files as ours. The tool has a perplexity model but no filter around it, so the threshold is applied here.
"""

from functools import partial
from typing import Any

from bench.peers import datatrove as rules
from bench.peers.pieces import pieces

MOST_PERPLEXING = 1400
LEAST_LANGUAGE_SCORE = 0.75


class Cutter:
    """Stands where datatrove has a sentencepiece model."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def tokenize(self, text: str) -> str:
        """Return the tokens of a text, joined by blanks."""
        return " ".join(pieces(text, self.lang))


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Build the Gopher filters, and those with models around the files of the request."""
    import kenlm
    from datatrove.pipeline.filters.language_filter import LanguageFilter
    from datatrove.utils.perplexity import KenlmModel
    from fasttext.FastText import _FastText

    lang = params["lang"]
    language = LanguageFilter(languages=lang, language_threshold=LEAST_LANGUAGE_SCORE)
    language.model._model = _FastText(params["lid"])
    scorer = KenlmModel("", lang)
    scorer._model, scorer._tokenizer = kenlm.Model(params["kenlm"][lang]), Cutter(lang)
    state = rules.prepare(params)
    filters = [language.filter, *(rule.filter for rule in state["filters"]), partial(_fluent, scorer)]
    state = {**state, "decisions": filters}
    run({**state, "documents": state["documents"][:2]})
    return state


def run(state: dict[str, Any]) -> list[bool]:
    """Return whether all filters keep each document; one that fails is not read by the filters after it."""
    decisions = state["decisions"]
    return [all(keep(document) is True for keep in decisions) for document in state["documents"]]


def report(state: dict[str, Any], result: list[bool]) -> dict[str, Any]:
    """Return how many documents were filtered and the share kept."""
    return rules.report(state, result)


def _fluent(scorer: Any, document: Any) -> bool:
    return bool(scorer.get_perplexity(document.text, normalize_cc_net=False) < MOST_PERPLEXING)
