"""Configuration of comparisons (`config/comparisons.yaml`): how much of duplicates is looked at."""

from pydantic import Field

from phoenix_assets.config import Config, config_dir, load


class DifferenceConfig(Config):
    """How two texts are aligned, and how much of them is shown."""

    context_characters: int = Field(ge=0)  # of equal text around a difference
    chance_characters: int = Field(
        ge=0
    )  # equal text no longer than this between two longer differences counts as different
    differences: int = Field(ge=1)  # between two texts, or two stretches of them, before they are cut
    shown_characters: int = Field(ge=1)  # of each text of a pair


class ComparisonConfig(DifferenceConfig):
    """The whole of `config/comparisons.yaml`."""

    pairs: int = Field(ge=1)  # shown by the command
    report_pairs: int = Field(ge=1)  # in the report of an index
    members: int = Field(ge=1)  # listed of a cluster
    similarity_step: float = Field(gt=0, le=1)  # of the histogram


def load_comparisons() -> ComparisonConfig:
    """Return `config/comparisons.yaml`."""
    return load(ComparisonConfig, config_dir() / "comparisons.yaml")
