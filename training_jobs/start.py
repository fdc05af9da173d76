"""What a run may start from: a whole checkpoint of its own shape, whose tokenizer is the run's or one that the run's extends.

An extension adds tokens after the parent's own and merges after the parent's own, so that every old id keeps its
meaning. Any other tokenizer gives the ids other meanings, and a model trained on would unlearn them all: an error.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import polars as pl
from tokenizers import Tokenizer

from training_jobs.checkpoints import CheckpointManifest, read_manifest, verify
from training_jobs.errors import CheckpointError
from training_jobs.job import Start, TrainingJob
from training_jobs.tokenizer_export import TOKENIZER_FILE

CONFIG_FILE: Final = "config.json"
_SHAPE: Final = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "ffn": "intermediate_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "tie_embeddings": "tie_word_embeddings",
}  # by the names of Hugging Face's configuration
_HOW_LONG: Final = ("truncation", "padding")  # of a tokenizer.json: they decide no id


def require_start(job: TrainingJob) -> CheckpointManifest | None:
    """Return the manifest of the checkpoint that the job starts from, None for a job that starts from its seed.

    Raises CheckpointError when the checkpoint is not whole, has another shape or was trained with another tokenizer.
    """
    if job.start is None:
        return None
    manifest = read_manifest(job.resolve(job.start.checkpoint))
    verify(manifest)
    name = f"{job.experiment}: starts from {manifest.experiment} at step {manifest.step}"
    _require_shape(job, manifest, name)
    if not _encodes_alike(manifest.directory / TOKENIZER_FILE, job, job.start):
        raise CheckpointError(
            f"{name}, which was trained with another tokenizer than {job.data.tokenizer_json}: its ids mean other "
            "tokens; set `tokenizer` to the one that it was trained with, or to an extension of that"
        )
    return manifest


def added_tokens(job: TrainingJob, start: Start) -> pl.DataFrame:
    """Return (id, parts) of the tokens that the job's tokenizer was extended by, none for one that is no extension."""
    if start.added_tokens is None:
        return pl.DataFrame(schema={"id": pl.Int64, "parts": pl.List(pl.Int64)})
    return pl.read_parquet(job.resolve(start.added_tokens), columns=["id", "parts"])


def _require_shape(job: TrainingJob, manifest: CheckpointManifest, name: str) -> None:
    there = json.loads((manifest.directory / CONFIG_FILE).read_text("utf-8"))
    for own, theirs in _SHAPE.items():
        if getattr(job.model, own) != there[theirs]:
            raise CheckpointError(
                f"{name}, whose model has {own} {there[theirs]}, and its own has {getattr(job.model, own)}; "
                "set `size` to the size of what it starts from"
            )


def _encodes_alike(theirs: Path, job: TrainingJob, start: Start) -> bool:
    parent, own = (_content(path) for path in (theirs, job.resolve(job.data.tokenizer_json)))
    return parent == own or parent == _before(own, set(added_tokens(job, start)["id"]), parent)


def _content(tokenizer_json: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Tokenizer.from_file(str(tokenizer_json)).to_str())
    return {key: value for key, value in content.items() if key not in _HOW_LONG}


def _before(content: dict[str, Any], added: Collection[int], parent: dict[str, Any]) -> dict[str, Any]:
    """Return the tokenizer without the tokens `added`, and without the merges that are more than the parent's."""
    model = content["model"]
    if model["type"] != "BPE" or parent["model"]["type"] != "BPE":
        return content
    vocabulary = {token: number for token, number in model["vocab"].items() if number not in added}
    merges = model["merges"][: len(parent["model"]["merges"])]
    known = [token for token in content["added_tokens"] if token["id"] not in added]
    return content | {"added_tokens": known, "model": model | {"vocab": vocabulary, "merges": merges}}
