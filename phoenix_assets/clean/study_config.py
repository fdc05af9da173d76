"""Configuration of studies (`config/studies.yaml`), and a profile as a materialisation recorded it."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field

from phoenix_assets.clean.profiles import Bounds, RuleSetting
from phoenix_assets.config import Config, config_dir, load


class ScorerConfig(Config):
    """One way to score documents again."""

    model: str = Field(description="the model asset it reads")
    language: str = Field(
        "", description="a perplexity model's language; empty for a classifier of all languages"
    )
    low: float = Field(description="where its histogram begins")
    high: float = Field(description="where its histogram ends")
    log_scale: bool = False
    good: Bounds = Field(description="scores at which a dropped document should perhaps have been kept")
    bad: Bounds = Field(description="scores at which a kept document should perhaps have been dropped")


class StudyConfig(Config):
    """How much a study reads and shows."""

    bins: int = Field(gt=1)
    terminal_rows: int = Field(gt=0)
    terminal_width: int = Field(gt=0)
    quantiles: tuple[float, ...] = Field(min_length=1)
    log_scale: tuple[str, ...] = Field(description="rules whose values are drawn on a logarithmic axis")
    plotted_languages: int = Field(gt=0)
    bytes_per_token: float = Field(gt=0)
    ratio_documents: int = Field(gt=0)
    ratio_deliveries: int = Field(gt=0)
    sample: int = Field(ge=0)
    snippet_characters: int = Field(gt=0)
    scorers: Mapping[str, ScorerConfig]


class ProfileInForce(Config):
    """What a lineage record says of the profile by which documents were judged; rules by name, whichever there were."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    rules: Mapping[str, RuleSetting]
    languages: Mapping[str, Mapping[str, RuleSetting]] = Field(default_factory=dict)

    @classmethod
    def of(cls, values: Any) -> "ProfileInForce":
        """Return the profile that a record's configuration or a resolved profile's dump holds."""
        return cls.model_validate(values)

    def own(self, rule: str) -> dict[str, RuleSetting]:
        """Return the settings of `rule` in the languages that have one of their own."""
        return {lang: settings[rule] for lang, settings in self.languages.items() if rule in settings}

    def setting(self, rule: str, lang: str) -> RuleSetting:
        """Return what `rule` demands of documents in `lang`."""
        return self.own(rule).get(lang, self.rules[rule])


def load_studies() -> StudyConfig:
    """Return `config/studies.yaml`."""
    return load(StudyConfig, config_dir() / "studies.yaml")
