"""Settings of the tokenizer (`config/tokenizer.yaml`) and of the token shards (`config/tokens.yaml`)."""

from typing import Self

from pydantic import Field, model_validator

from phoenix_assets.config import Config


class TokenizerConfig(Config):
    """How the byte-level BPE tokenizer is trained."""

    mixture: str = Field(min_length=1)  # version whose training split it is trained on
    vocab_size: int = Field(gt=256)  # the 256 bytes, special tokens and merges
    min_frequency: int = Field(ge=1)  # occurrences that a pair needs to be merged
    special_tokens: tuple[str, ...] = Field(min_length=1)  # they get the first ids
    eod: str  # the special token that ends a document
    bytes_per_language: int = Field(gt=0)  # UTF-8 bytes of training text, at most, of each language
    seed: int = Field(ge=0, lt=2**64)
    split_pattern: str = Field(min_length=1)  # regular expression whose matches are merged within

    @model_validator(mode="after")
    def _eod_is_special(self) -> Self:
        if self.eod not in self.special_tokens:
            raise ValueError(
                f"eod {self.eod!r} is not among special_tokens {self.special_tokens}; add it there"
            )
        return self


class TokensConfig(Config):
    """How documents become token shards. The shards' number format follows from the vocabulary."""

    shard_tokens: int = Field(gt=0)  # a new shard starts at each multiple of this
    seed: int = Field(ge=0, lt=2**64)  # of the shuffle
    batch_documents: int = Field(gt=0)  # tokenised at once
    batch_bytes: int = Field(gt=0)  # UTF-8 bytes tokenised at once, unless one document is longer
