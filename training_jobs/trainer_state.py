"""Lightning's trainer state without pickle: tensors in safetensors, everything else in JSON.

`WholeCheckpointIO` is the plug-in through which Lightning saves and restores. The weights go into
`model.safetensors` under Hugging Face's names (so a checkpoint is a model that `transformers` loads), the
optimizer's tensors into `trainer_state.safetensors`, and the rest (loop counters, schedule, parameter groups)
into `trainer_state.json`: `{"$tensor": name}`, `{"$dict": pairs}`, `{"$tuple": items}` say what JSON cannot.
"""

import json
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from safetensors.torch import load_file, save_file

from training_jobs.errors import CheckpointError

WEIGHTS_FILE: Final = "model.safetensors"
STATE_FILE: Final = "trainer_state.json"
STATE_TENSORS_FILE: Final = "trainer_state.safetensors"
NETWORK_PREFIX: Final = "network."
EMBEDDING: Final = "model.embed_tokens.weight"
HEAD: Final = "lm_head.weight"

_WEIGHTS: Final = "state_dict"
_SETTINGS: Final = frozenset({"hparams_name", "hyper_parameters", "hparams_type"})  # job.json holds them


class WholeCheckpointIO(CheckpointIO):
    """Save and restore trainer state in a checkpoint folder, without pickle."""

    def __init__(self, *, tie_embeddings: bool) -> None:
        self._tied = tie_embeddings

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write weights and trainer state into the folder `path`, replacing a half-written one."""
        directory = Path(path)
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        weights = {name.removeprefix(NETWORK_PREFIX): value for name, value in checkpoint[_WEIGHTS].items()}
        if self._tied:
            del weights[HEAD]
        save_file(
            {name: _stored(value) for name, value in weights.items()},
            directory / WEIGHTS_FILE,
            {"format": "pt"},
        )
        rest = {key: value for key, value in checkpoint.items() if key != _WEIGHTS and key not in _SETTINGS}
        tensors: dict[str, torch.Tensor] = {}
        plain = to_plain(rest, "state", tensors)
        save_file(tensors, directory / STATE_TENSORS_FILE)
        (directory / STATE_FILE).write_text(json.dumps(plain), "utf-8")

    def load_checkpoint(self, path: str | Path, map_location: Any = None) -> dict[str, Any]:
        """Read what `save_checkpoint` wrote, on the CPU."""
        directory = Path(path)
        tensors = load_file(directory / STATE_TENSORS_FILE)
        state = from_plain(json.loads((directory / STATE_FILE).read_text("utf-8")), tensors)
        weights = load_weights(directory, tie_embeddings=self._tied)
        return {**state, _WEIGHTS: {NETWORK_PREFIX + name: value for name, value in weights.items()}}

    def remove_checkpoint(self, path: str | Path) -> None:
        """Delete a checkpoint folder."""
        shutil.rmtree(path)


def load_weights(directory: Path, *, tie_embeddings: bool) -> dict[str, torch.Tensor]:
    """Return a checkpoint folder's weights by Hugging Face's names, tied ones included."""
    weights = dict(load_file(directory / WEIGHTS_FILE))
    if tie_embeddings:
        weights[HEAD] = weights[EMBEDDING]
    return weights


def to_plain(value: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    """Return `value` as JSON data, its tensors put into `tensors`. Raises CheckpointError on other types."""
    if isinstance(value, torch.Tensor):
        tensors[name] = _stored(value)
        return {"$tensor": name}
    if isinstance(value, dict):
        return {
            "$dict": [
                [_key(key, name), to_plain(item, f"{name}.{key}", tensors)] for key, item in value.items()
            ]
        }
    if isinstance(value, tuple | list):
        items = [to_plain(item, f"{name}.{i}", tensors) for i, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise CheckpointError(
        f"{name}: {type(value).__name__} in the trainer's state cannot be saved without pickle"
    )


def from_plain(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Undo `to_plain`."""
    if isinstance(value, list):
        return [from_plain(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    if "$tuple" in value:
        return tuple(from_plain(item, tensors) for item in value["$tuple"])
    return {key: from_plain(item, tensors) for key, item in value["$dict"]}


def _key(key: object, name: str) -> str | int:
    if not isinstance(key, str | int):
        raise CheckpointError(f"{name}: key {key!r} in the trainer's state is neither text nor number")
    return key


def _stored(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().contiguous()
