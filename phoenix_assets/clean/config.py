"""Configuration of the clean room: normalisation, the filter funnel's profiles, the language models.

A *profile* is what the funnel expects of a source: nine rules, each with bounds, a priority and an enforced flag.
It is written as a small file `config/filters/<profile>.yaml` that names its `base` and what differs from it, and is
resolved by `load_profiles` into a complete `FilterProfile`. Whatever differs from a base, and whatever differs for
one language, carries its `reason`.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.errors import ConfigError


class Rule(StrEnum):
    """The rules of the funnel, in the order their results are listed."""

    PERPLEXITY = "cond_check_perplexity"
    LANG_ID = "cond_check_lang_id"
    FLAGGED_WORDS = "cond_check_flagged_words"
    STOPWORDS = "cond_check_stopwords"
    SPECIAL_CHARACTERS = "cond_check_special_characters"
    CHARACTER_REPETITION = "cond_check_character_repetition_removal"
    WORD_REPETITION = "cond_check_word_repetition_removal"
    SHORT_LINE = "cond_check_short_line"
    NUMBER_WORDS = "cond_check_number_words"


class NormalizeConfig(Config):
    """Which steps of normalisation a source takes, in the order they run."""

    unify_line_ends: bool = True
    remove_invisible: bool = True
    remove_unprintable: bool = True
    traditional_to_simplified: bool = False
    halfwidth_alphanumerics: bool = True
    remove_abnormal_words: bool = True
    collapse_spaces: bool = True
    unify_punctuation: bool = True
    keep_layout: bool = Field(False, description="keep indentation and inner runs of spaces, as code needs")
    max_word_length: int = Field(gt=0, description="longest run of printable ASCII kept, in characters")


class NormalizeFile(Config):
    """`config/normalize.yaml`: the default steps, and what differs for a source."""

    default: NormalizeConfig
    sources: Mapping[str, Mapping[str, bool | int]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _overrides_are_valid(self) -> Self:
        for source in self.sources:
            self.of(source)
        return self

    def of(self, source: str) -> NormalizeConfig:
        """Return the configuration of `source`: the default with the source's own values over it."""
        return NormalizeConfig.model_validate(self.default.model_dump() | dict(self.sources.get(source, {})))


class Bounds(Config):
    """What a rule's value must satisfy; every bound that is given holds."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def given(self) -> dict[str, float]:
        """Return the bounds that are set."""
        names = ("above", "at_least", "below", "at_most")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class RuleSetting(Bounds):
    """One rule of a resolved profile."""

    priority: int = Field(ge=1, description="1 is highest: of several failing rules it names the drop reason")
    enforced: bool = Field(True, description="false: computed and recorded, never a reason to drop")
    reason: str = Field("", description="why it differs from the base profile; empty in the base itself")


class RuleOverride(Bounds):
    """A rule's differences from the base profile or, under `languages`, from the profile itself."""

    priority: int | None = Field(None, ge=1)
    enforced: bool | None = None
    reason: str = Field(min_length=1)

    def over(self, setting: RuleSetting) -> RuleSetting:
        """Return `setting` with this override applied; if any bound is given, the old bounds go."""
        values = setting.model_dump()
        if self.given():
            values |= dict.fromkeys(("above", "at_least", "below", "at_most")) | self.given()
        for name in ("priority", "enforced"):
            if (value := getattr(self, name)) is not None:
                values[name] = value
        return RuleSetting.model_validate(values | {"reason": self.reason})


class LanguageParameters(Config):
    """How much of a document language identification reads, in characters."""

    opening: int = Field(gt=0)
    window: int = Field(gt=1)
    windows: int = Field(ge=0, description="windows spread over a document longer than the opening")
    foreign_above: float = Field(
        ge=0, le=1, description="a window of another language counts above this probability"
    )


class FunnelParameters(Config):
    """Lengths and limits the rules' definitions depend on."""

    character_ngram: int = Field(gt=0)
    word_ngram: int = Field(gt=0)
    short_line_characters: int = Field(gt=0)
    language: LanguageParameters
    perplexity_characters: int = Field(gt=0, description="KenLM scores this many first characters")
    stopwords_extra: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    flagged_extra: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    flagged_excluded: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)


class FilterProfile(Config):
    """A complete profile: all nine rules, per-language differences, parameters."""

    name: str
    description: str
    parameters: FunnelParameters
    rules: Mapping[Rule, RuleSetting]
    languages: Mapping[str, Mapping[Rule, RuleSetting]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _all_rules_are_there(self) -> Self:
        missing = [rule.value for rule in Rule if rule not in self.rules]
        if missing:
            raise ValueError(f"profile {self.name!r} lacks the rule(s) {', '.join(missing)}")
        return self

    def setting(self, rule: Rule, lang: str) -> RuleSetting:
        """Return what `rule` demands of a document whose detected language is `lang`."""
        return self.languages.get(lang, {}).get(rule, self.rules[rule])


class ProfileRoot(Config):
    """`config/filters/default.yaml`: the profile that every other one is based on."""

    description: str
    parameters: FunnelParameters
    rules: Mapping[Rule, RuleSetting]
    languages: Mapping[str, Mapping[Rule, RuleOverride]] = Field(default_factory=dict)


class ProfileFile(Config):
    """`config/filters/<profile>.yaml`: what differs from `base`."""

    base: str
    description: str
    parameters: Mapping[str, object] = Field(default_factory=dict)
    rules: Mapping[Rule, RuleOverride] = Field(default_factory=dict)
    languages: Mapping[str, Mapping[Rule, RuleOverride]] = Field(default_factory=dict)


class KenlmConfig(Config):
    """`config/kenlm.yaml`: how the perplexity models are trained."""

    order: int = Field(ge=2, le=6)
    memory: str = Field(pattern=r"^[0-9]+[%KMG]$", description="bound of lmplz's sorting memory (-S)")
    prune: tuple[int, ...] = Field(
        (), description="minimum counts per order (lmplz --prune); empty: keep all"
    )
    structure: str = Field(pattern="^(trie|probing)$", description="probing is faster, trie smaller")
    languages: tuple[str, ...] = Field(min_length=1)
    reference_sources: Mapping[str, tuple[str, ...]] = Field(
        description="whose normalised text, per language"
    )
    reference_characters: Mapping[str, int] = Field(description="reference text per language, in characters")
    timeout_seconds: int = Field(gt=0)
    distribution: str = Field(
        description="pip requirement whose sources lmplz and build_binary are built from"
    )
    distribution_sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @model_validator(mode="after")
    def _every_language_has_a_limit(self) -> Self:
        for name in ("reference_sources", "reference_characters"):
            if missing := [lang for lang in self.languages if lang not in getattr(self, name)]:
                raise ValueError(f"{name} lacks the language(s) {', '.join(missing)}")
        return self


class LidConfig(Config):
    """`config/lid.yaml`: which language identification model is used, and how it is recognised."""

    distribution: str = Field(description="pip requirement whose wheel carries the model")
    member: str = Field(description="the model's path inside the wheel")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    licence: str


ROOT_PROFILE = "default"


def load_profiles(folder: Path | None = None) -> dict[str, FilterProfile]:
    """Return every profile under `config/filters/`, resolved, by name. Raises ConfigError."""
    folder = folder or config_dir() / "filters"
    root = load(ProfileRoot, folder / f"{ROOT_PROFILE}.yaml")
    files = {
        path.stem: load(ProfileFile, path)
        for path in sorted(folder.glob("*.yaml"))
        if path.stem != ROOT_PROFILE
    }
    resolved = {ROOT_PROFILE: _resolve_root(root)}
    while waiting := [name for name in files if name not in resolved]:
        ready = [name for name in waiting if files[name].base in resolved]
        if not ready:
            bases = ", ".join(f"{name} (base: {files[name].base})" for name in waiting)
            raise ConfigError(f"{folder}: profiles without a known base, or based on each other: {bases}")
        for name in ready:
            try:
                resolved[name] = _resolve(name, files[name], resolved[files[name].base])
            except ValidationError as error:
                raise ConfigError(
                    f"{folder / name}.yaml: over its base {files[name].base!r}: {error}"
                ) from error
    return dict(sorted(resolved.items()))


def load_profile(name: str, folder: Path | None = None) -> FilterProfile:
    """Return the resolved profile `name`. Raises ConfigError if there is none."""
    profiles = load_profiles(folder)
    if name not in profiles:
        raise ConfigError(f"no filter profile {name!r}; there are: {', '.join(profiles)}")
    return profiles[name]


def load_normalize(source: str, path: Path | None = None) -> NormalizeConfig:
    """Return the normalisation of `source` from `config/normalize.yaml`. Raises ConfigError."""
    return load(NormalizeFile, path or config_dir() / "normalize.yaml").of(source)


def _resolve_root(root: ProfileRoot) -> FilterProfile:
    languages = _with_languages(root.rules, {}, root.languages)
    return FilterProfile(
        name=ROOT_PROFILE,
        description=root.description,
        parameters=root.parameters,
        rules=root.rules,
        languages=languages,
    )


def _resolve(name: str, file: ProfileFile, base: FilterProfile) -> FilterProfile:
    rules = {
        rule: file.rules[rule].over(setting) if rule in file.rules else setting
        for rule, setting in base.rules.items()
    }
    inherited = {
        lang: {rule: setting for rule, setting in settings.items() if rule not in file.rules}
        for lang, settings in base.languages.items()
    }
    parameters = FunnelParameters.model_validate(base.parameters.model_dump() | dict(file.parameters))
    return FilterProfile(
        name=name,
        description=file.description,
        parameters=parameters,
        rules=rules,
        languages=_with_languages(rules, inherited, file.languages),
    )


def _with_languages(
    rules: Mapping[Rule, RuleSetting],
    inherited: Mapping[str, Mapping[Rule, RuleSetting]],
    overrides: Mapping[str, Mapping[Rule, RuleOverride]],
) -> dict[str, dict[Rule, RuleSetting]]:
    languages = {lang: dict(settings) for lang, settings in inherited.items()}
    for lang, changes in overrides.items():
        settings = languages.setdefault(lang, {})
        for rule, change in changes.items():
            settings[rule] = change.over(settings.get(rule, rules[rule]))
    return {lang: settings for lang, settings in languages.items() if settings}
