"""What a checkpoint is evaluated on and how (`config/evaluation.yaml`)."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from phoenix_assets.config import Config


class Device(StrEnum):
    """Where the model runs."""

    AUTO = "auto"  # a GPU where there is one
    CPU = "cpu"
    CUDA = "cuda"


class Precision(StrEnum):
    """The number format of the model's weights and activations; losses are summed in 64 bits."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class EvaluationConfig(Config):
    """The whole of `config/evaluation.yaml`."""

    languages: tuple[str, ...] = Field(min_length=1)  # documents in other languages are left out
    max_documents: int = Field(ge=1)  # of each language: the first in doc_id order, which is a hash's
    document_characters: int = Field(ge=1)  # of each document, from its start, so that no long one dominates
    top_k: tuple[int, ...] = Field(min_length=1)  # recall is reported for each
    eod: str = Field(min_length=1)  # the special token that stands before each document, as in training
    context: int = Field(ge=2)  # tokens that the model sees at most; longer documents are cut into chunks
    batch_tokens: int = Field(ge=1)  # tokens with padding in one forward pass: bounds the logits in memory
    batch_documents: int = Field(ge=1)  # documents that are tokenised and scored at once
    device: Device
    precision: Precision

    @model_validator(mode="after")
    def _a_chunk_fits_a_batch(self) -> Self:
        if self.batch_tokens < self.context:
            raise ValueError(
                f"batch_tokens {self.batch_tokens} is less than context {self.context}, "
                "so a whole chunk does not fit: raise batch_tokens or lower context"
            )
        return self

    @model_validator(mode="after")
    def _top_k_ascends(self) -> Self:
        if self.top_k[0] < 1 or any(
            low >= high for low, high in zip(self.top_k, self.top_k[1:], strict=False)
        ):
            raise ValueError(f"top_k {list(self.top_k)} must ascend from at least 1, each value once")
        return self
