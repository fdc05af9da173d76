"""Language models that score lines: one way to call them, whatever the type of their file.

A KenLM model of the type `probing` is read by a kernel of this room, half as dear as KenLM's binding; any other (ARPA,
trie, quantised), such as one that somebody else trained, goes through the binding. Scores are the same.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kenlm
import numpy as np
import polars as pl

from phoenix_assets.clean.buffers import Floats
from phoenix_assets.clean.ngram_model import NgramModel, is_probing, read_model
from phoenix_assets.clean.ngram_scores import line_scores
from phoenix_assets.clean.perplexity import Scorer, Sentences


@dataclass(frozen=True)
class ProbingScorer:
    """Scores by the tables of a `probing` model."""

    model: NgramModel

    def log10(self, lines: Sentences) -> Floats:
        """Return log10 of each line's probability, its end included."""
        return line_scores(self.model, lines)


@dataclass(frozen=True)
class BindingScorer:
    """Scores by KenLM's own binding, with a `kenlm.Model`."""

    model: Any

    def log10(self, lines: Sentences) -> Floats:
        """Return log10 of each line's probability, its end included."""
        # The binding takes UTF-8 bytes as they are, and adds the sentence end.
        as_bytes = lines.lines.cast(pl.Binary).to_list()
        return np.fromiter(map(self.model.score, as_bytes), np.float64, len(as_bytes))


def load_scorer(path: Path) -> Scorer:
    """Load the model at `path`.

    Raises PhoenixError when a model of the type `probing` is not whole, OSError for what KenLM cannot read.
    """
    return ProbingScorer(read_model(path)) if is_probing(path) else BindingScorer(kenlm.Model(str(path)))
