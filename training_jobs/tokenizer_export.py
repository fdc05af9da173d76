"""A tokenizer as a folder that `transformers` loads: what a checkpoint carries, and what the tokenizer's check loads."""

import json
import shutil
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

from phoenix_assets.errors import ConfigError

TOKENIZER_FILE: Final = "tokenizer.json"
TOKENIZER_CONFIG_FILE: Final = "tokenizer_config.json"


def vocabulary_size(tokenizer: Tokenizer) -> int:
    """Return one more than the largest id: what an embedding needs rows for. Vocabularies can have gaps."""
    return int(max(tokenizer.get_vocab().values(), default=-1)) + 1


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """Return the id of a token. Raises ConfigError when the vocabulary has no such token."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise ConfigError(
            f"the tokenizer has no token {token!r};"
            " set eod in config/tokenizer.yaml to one of its special tokens"
        )
    return int(found)


def export_tokenizer(tokenizer_json: Path, eod_id: int, context: int, directory: Path) -> None:
    """Copy the tokenizer into a checkpoint, and name the class that encodes exactly as it says."""
    shutil.copyfile(tokenizer_json, directory / TOKENIZER_FILE)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": Tokenizer.from_file(str(tokenizer_json)).id_to_token(eod_id),
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
    }
    (directory / TOKENIZER_CONFIG_FILE).write_text(
        json.dumps(settings, ensure_ascii=False, indent=2), "utf-8"
    )
