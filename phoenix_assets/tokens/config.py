"""Settings of the tokenizer (`config/tokenizer.yaml`) and of the token shards (`config/tokens.yaml`)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Self

from pydantic import Field, model_validator

from phoenix_assets.config import Config, config_dir, load_folder
from phoenix_assets.pretrained import PretrainedModel
from training_jobs.checkpoints import checkpoint_name

TOKENIZER: Final = "tokenizer"  # the one of `config/tokenizer.yaml`; others extend it
EXTENSION_FILE: Final = "extension.parquet"  # of an extended one: the tokens that were added


def model_key(tokenizer: str) -> str:
    """Return the asset path of a tokenizer."""
    return f"models/{tokenizer}"


def tokens_key(mixture: str, tokenizer: str = TOKENIZER) -> str:
    """Return the asset path of a mixture's tokens by a tokenizer: `tokens/v3`, `tokens/v3.tokenizer_zh`."""
    return f"tokens/{mixture}" if tokenizer == TOKENIZER else f"tokens/{mixture}.{tokenizer}"


class EncoderKind(StrEnum):
    """What encodes documents. Both give the same ids, or the check of the tokenizer fails."""

    FAST = "fastokens"
    REFERENCE = "tokenizers"


class TokenizerConfig(Config):
    """How the byte-level BPE tokenizer is trained, or which one is taken instead, and how either is checked."""

    mixture: str = Field(min_length=1)  # version whose training split it is trained on
    vocab_size: int = Field(gt=256)  # the 256 bytes, special tokens and merges
    min_frequency: int = Field(ge=1)  # occurrences that a pair needs to be merged
    special_tokens: tuple[str, ...] = Field(min_length=1)  # they get the first ids
    eod: str  # the special token that ends a document
    bytes_per_language: int = Field(gt=0)  # UTF-8 bytes of training text, at most, of each language
    seed: int = Field(ge=0, lt=2**64)
    split_pattern: str = Field(min_length=1)  # regular expression whose matches are merged within
    pretrained: PretrainedModel | None = None  # a tokenizer.json, SentencePiece .model or folder, instead
    checked_lines: int = Field(gt=0)  # of the corpus, that every loader must encode alike

    @model_validator(mode="after")
    def _eod_is_special(self) -> Self:
        if self.pretrained is None and self.eod not in self.special_tokens:
            raise ValueError(
                f"eod {self.eod!r} is not among special_tokens {self.special_tokens}; add it there"
            )
        return self


class OddStrings(Config):
    """`config/odd_strings.yaml`: strings on which tokenizer classes differ, by what is odd in them."""

    strings: Mapping[str, tuple[str, ...]]

    def all(self) -> list[str]:
        """Return every string, in the order of the file."""
        return [string for strings in self.strings.values() for string in strings]


class Checkpoint(Config):
    """A checkpoint of a run."""

    experiment: str
    step: int = Field(gt=0)

    @property
    def asset(self) -> str:
        """Asset path of the run's checkpoints."""
        return f"checkpoints/{self.experiment}"

    @property
    def partition(self) -> str:
        """The checkpoint's partition of them."""
        return checkpoint_name(self.step)


class ExtensionConfig(Config):
    """`config/tokenizer_extensions/<name>.yaml`: more tokens for a tokenizer, and rows for them in a checkpoint."""

    mixture: str = Field(min_length=1)  # the new tokens are chosen on its training split
    languages: tuple[str, ...] = ()  # of it; all, when empty
    bytes_per_language: int = Field(gt=0)  # UTF-8 bytes, at most, of each language
    seed: int = Field(ge=0, lt=2**64)  # chooses the documents that are read
    tokens: int = Field(0, ge=0)  # merges to add: those that save most tokens
    added: tuple[str, ...] = ()  # tokens that are given
    min_frequency: int = Field(2, ge=1)  # occurrences that a pair needs to be merged
    checkpoint: Checkpoint | None = (
        None  # its tokenizer is extended, and it gets rows; none: `models/tokenizer` is
    )

    @model_validator(mode="after")
    def _adds_something(self) -> Self:
        if not self.tokens and not self.added:
            raise ValueError("nothing is added; give `tokens`, a number, or `added`, a list")
        if "" in self.added or len(set(self.added)) < len(self.added):
            raise ValueError(f"added {self.added}: a token is empty or comes twice; leave it out")
        return self


def load_extensions() -> dict[str, ExtensionConfig]:
    """Return every extended tokenizer by name, `config/tokenizer_extensions/`."""
    return load_folder(ExtensionConfig, config_dir() / "tokenizer_extensions")


class TokensConfig(Config):
    """How documents become token shards. The shards' number format follows from the vocabulary."""

    shard_tokens: int = Field(gt=0)  # a new shard starts at each multiple of this
    seed: int = Field(ge=0, lt=2**64)  # of the shuffle
    batch_documents: int = Field(gt=0)  # tokenised at once
    batch_bytes: int = Field(gt=0)  # UTF-8 bytes tokenised at once, unless one document is longer
    encoder: EncoderKind
