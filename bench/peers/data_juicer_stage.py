"""Data-Juicer's text filters as in `bench/peers/data_juicer.py`, with language identification and perplexity.

Its operators read models by their names from a folder: there lie the same files as ours. In the tool's
favour, everything that it would cut with a sentencepiece model is cut as cheaply as Python can.
"""

from pathlib import Path
from typing import Any

from bench.peers import data_juicer as rules
from bench.peers.pieces import pieces

MOST_PERPLEXING = 1400
LEAST_LANGUAGE_SCORE = 0.75


class Cutter:
    """Stands where Data-Juicer has a sentencepiece model; it makes one for each operator."""

    def __init__(self, lang: str, device: str = "cpu") -> None:
        self.lang = lang

    def encode_as_pieces(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        return pieces(text, self.lang)


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Put the models where the operators look for them; build all eight operators."""
    lang, folder = params["lang"], Path(params["models"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in (("lid.176.bin", params["lid"]), (f"{lang}.arpa.bin", params["kenlm"][lang])):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(file)
    rules.use_local_models(params)
    from data_juicer.ops.filter import LanguageIDScoreFilter, PerplexityFilter
    from data_juicer.utils import model_utils

    model_utils.MODEL_FUNCTION_MAPPING["sentencepiece"] = Cutter
    state = rules.prepare(params)
    state["plain"].append(LanguageIDScoreFilter(lang=lang, min_score=LEAST_LANGUAGE_SCORE))
    state["words"].append(PerplexityFilter(lang=lang, max_ppl=MOST_PERPLEXING))
    run({**state, "texts": state["texts"][:2]})
    return state


def run(state: dict[str, Any]) -> dict[str, Any]:
    """Return the statistics of each document and whether every operator keeps it."""
    return rules.run(state)


def report(state: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Return how many documents were filtered and the share kept."""
    return {"documents": len(result["kept"]), "kept": sum(result["kept"]) / len(result["kept"])}
