"""Settings of the quality classifier and of the tags (`config/tags.yaml`)."""

from typing import Self

from pydantic import Field, model_validator

from phoenix_assets.config import Config


class FastTextConfig(Config):
    """Hyper-parameters of the supervised fastText model; it always trains in one thread."""

    dim: int = Field(gt=0)
    epoch: int = Field(gt=0)
    lr: float = Field(gt=0)
    word_ngrams: int = Field(ge=1)
    min_count: int = Field(ge=1)
    bucket: int = Field(gt=0)


class QualityConfig(Config):
    """What the quality classifier learns from, and on what it is judged."""

    positive: tuple[str, ...] = Field(min_length=1)  # sources of good text
    negative: tuple[str, ...] = Field(min_length=1)  # sources of average text
    languages: tuple[str, ...] = Field(min_length=1)  # others get no score
    documents_per_class: int = Field(gt=0)  # per class and language, at most
    max_chars: int = Field(gt=0)  # of a document, from its start
    heldout_fraction: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0, lt=2**31)
    fasttext: FastTextConfig

    @model_validator(mode="after")
    def _classes_apart(self) -> Self:
        if both := set(self.positive) & set(self.negative):
            raise ValueError(f"{sorted(both)} are both positive and negative; leave each source in one class")
        return self


class TagConfig(Config):
    """All settings of the room."""

    quality: QualityConfig
    quality_levels: dict[str, float]  # level → lowest score that has it

    @model_validator(mode="after")
    def _levels_cover_all_scores(self) -> Self:
        bounds = list(self.quality_levels.values())
        if len(set(bounds)) != len(bounds) or min(bounds, default=-1) != 0 or max(bounds) > 1:
            raise ValueError(
                f"quality_levels {self.quality_levels} must start at 0, differ and stay within 1;"
                " write for example {low: 0, high: 0.5}"
            )
        return self
