"""A tokenizer that somebody else made, as `models/tokenizer` has it: a `tokenizer.json`, and what it was made of.

Taken are a `tokenizer.json`, a SentencePiece `.model`, or a folder as `transformers` writes it. What was delivered is
kept below `source/`: the check loads it too.
"""

from pathlib import Path
from typing import Final

from phoenix_assets.config import config_dir
from phoenix_assets.errors import ConfigError
from phoenix_assets.pretrained import PretrainedModel, fetch_pretrained, fetch_pretrained_folder
from phoenix_assets.tokens.encoding import load_tokenizer
from phoenix_assets.tokens.sentencepiece_model import tokenizer_of_sentencepiece
from training_jobs.tokenizer_export import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, token_id

KERNEL_VERSION: Final = "1"

SENTENCEPIECE_FILE: Final = "tokenizer.model"
SOURCE: Final = "source"
# All of a folder that decides how it encodes. Weights beside them are left where they are.
_FILES: Final = (
    TOKENIZER_FILE,
    SENTENCEPIECE_FILE,
    TOKENIZER_CONFIG_FILE,
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)


def take_tokenizer(model: PretrainedModel, eod: str, out: Path) -> None:
    """Fetch a tokenizer into `out/source`, and write `out/tokenizer.json`.

    Raises ConfigError when it is no tokenizer or lacks the token `eod`, PhoenixError when it is not the one that the
    configuration names.
    """
    source = out / SOURCE
    source.mkdir(parents=True)
    if (config_dir() / model.location).is_dir():
        fetch_pretrained_folder(model, _FILES, source)
    else:
        of_sentencepiece = model.location.endswith(".model")
        fetch_pretrained(model, source / (SENTENCEPIECE_FILE if of_sentencepiece else TOKENIZER_FILE))
    content = _tokenizer_json(source, model.location)
    token_id(load_tokenizer(content), eod)
    (out / TOKENIZER_FILE).write_bytes(content)


def _tokenizer_json(source: Path, location: str) -> bytes:
    if (source / TOKENIZER_FILE).exists():
        return (source / TOKENIZER_FILE).read_bytes()
    if (source / SENTENCEPIECE_FILE).exists():
        return tokenizer_of_sentencepiece((source / SENTENCEPIECE_FILE).read_bytes())
    raise ConfigError(
        f"{location}: has neither {TOKENIZER_FILE} nor {SENTENCEPIECE_FILE}; load it once with transformers and save it"
    )
