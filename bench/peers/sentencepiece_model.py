"""Train the sentencepiece model that Data-Juicer cuts Chinese with, on the benchmark's own documents.

Its Chinese recipes set `tokenization: true`, which loads `zh.sp.model` (unigram, from Wikipedia) from the
web. A model of the same kind trained here takes its place: what is measured is the time that cutting takes,
not how well it cuts.
"""

from pathlib import Path
from typing import Any

from bench.documents import read_texts

VOCABULARY = 16_000


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents."""
    return {"texts": read_texts(params["documents"], params["lang"]), **params}


def run(state: dict[str, Any]) -> None:
    """Write `<lang>.sp.model` into the folder `models`."""
    import sentencepiece

    folder = Path(state["models"])
    folder.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(line for text in state["texts"] for line in text.splitlines() if line.strip()),
        model_prefix=str(folder / f"{state['lang']}.sp"),
        model_type="unigram",
        vocab_size=VOCABULARY,
        hard_vocab_limit=False,
        character_coverage=0.9995,
        num_threads=1,
        minloglevel=2,
    )


def report(state: dict[str, Any], result: None) -> dict[str, Any]:
    """Return how many documents the model was trained on."""
    return {"documents": len(state["texts"])}
