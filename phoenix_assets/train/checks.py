"""Checks of the room: a run has learned more than how frequent each token is."""

import dagster as dg

from phoenix_assets.train.unigram import unigram_cross_entropy
from training_jobs.indexed_tokens import IndexedTokens
from training_jobs.job import TrainingJob

BEATS_UNIGRAM = "validation_loss_is_below_the_unigram_baseline"


def beats_unigram(
    asset: dg.AssetKey, job: TrainingJob, validation_loss: float | None, max_tokens: int
) -> dg.AssetCheckResult:
    """Return whether the run's validation loss is below that of token frequencies, counted on `max_tokens` at most."""
    import numpy as np

    train = IndexedTokens([job.resolve(path) for path in job.data.train])
    validation = IndexedTokens([job.resolve(path) for path in job.data.validation])
    counted = train.read(0, min(train.total, max_tokens))
    counts = np.bincount(counted, minlength=job.model.vocab_size)
    baseline = unigram_cross_entropy(counts, validation.read(0, min(validation.total, max_tokens)))
    return dg.AssetCheckResult(
        passed=validation_loss is not None and validation_loss < baseline,
        asset_key=asset,
        check_name=BEATS_UNIGRAM,
        metadata={
            "validation_loss": "never validated" if validation_loss is None else validation_loss,
            "unigram_baseline": baseline,
        },
    )
