"""Filter profiles: what the funnel expects of a source.

A *profile* has the nine rules of the funnel, always, and the further rules that it names: of code, of mathematics, of
safety. Each has bounds, a priority and an enforced flag. It is written as a small file `config/filters/<profile>.yaml`
that names its `base` and what differs from it, and is resolved by `load_profiles` into a complete `FilterProfile`.
Whatever differs from a base, and whatever differs for one language, carries its `reason`.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from phoenix_assets.config import Config, config_dir, load, load_folder
from phoenix_assets.errors import ConfigError


class Rule(StrEnum):
    """The rules a profile can have, in the order their results are listed: the nine first."""

    PERPLEXITY = "cond_check_perplexity"
    LANG_ID = "cond_check_lang_id"
    FLAGGED_WORDS = "cond_check_flagged_words"
    STOPWORDS = "cond_check_stopwords"
    SPECIAL_CHARACTERS = "cond_check_special_characters"
    CHARACTER_REPETITION = "cond_check_character_repetition_removal"
    WORD_REPETITION = "cond_check_word_repetition_removal"
    SHORT_LINE = "cond_check_short_line"
    NUMBER_WORDS = "cond_check_number_words"
    ABNORMAL_CHARACTERS = "cond_check_abnormal_characters"
    FOREIGN_CHARACTERS = "cond_check_foreign_characters"
    MAX_LINE_LENGTH = "cond_check_max_line_length"
    AVERAGE_LINE_LENGTH = "cond_check_avg_line_length"
    ALPHANUMERIC = "cond_check_alphanumeric_characters"
    ENCODED_SHARE = "cond_check_base64"
    ENCODED_RUN = "cond_check_base64_run"
    UNBALANCED_MATH = "cond_check_unbalanced_math"
    POLITICS = "safety_politics"
    PORNOGRAPHY = "safety_pornography"
    EXTREMISM = "safety_extremism"
    MINORS = "safety_minors"
    DRUGS = "safety_drugs"
    GAMBLING = "safety_gambling"
    CONTRABAND = "safety_contraband"
    VULGARITY = "safety_vulgarity"
    VIOLENCE = "safety_violence"


NINE: Final = tuple(Rule)[:9]
SAFETY: Final = {
    rule: level for rule in Rule if (level := rule.value.removeprefix("safety_")) != rule.value
}  # from the level that names the label before all others to the last


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

    def over(self, setting: RuleSetting | None) -> RuleSetting:
        """Return `setting` with this override applied; if any bound is given, the old bounds go.

        Without a `setting` the rule is a further one of the profile, and states its priority and bounds itself.
        """
        values = setting.model_dump() if setting else {}
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
    encoded_characters: int = Field(gt=0, description="shortest run that counts as base64, in characters")
    perplexity_characters: int = Field(gt=0, description="KenLM scores this many first characters")
    stopwords_extra: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    flagged_extra: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    flagged_excluded: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)


class SafetyList(Config):
    """`config/safety/<level>.yaml`: the words of one safety label."""

    description: str
    packages: tuple[Literal["ldnoobw"], ...] = Field(
        (),
        description="lists of installed packages; a term that another level names itself belongs to that level",
    )
    terms: Mapping[str, tuple[str, ...]] = Field(default_factory=dict, description="own terms, by language")
    excluded: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict, description="terms of the packages that mean too many other things"
    )
    minimum_matches: int = Field(
        gt=0, description="fewer matches in a document are no evidence: its value is 0"
    )


class FilterProfile(Config):
    """A complete profile: the nine rules and further ones, per-language differences, parameters."""

    name: str
    description: str
    parameters: FunnelParameters
    rules: Mapping[Rule, RuleSetting]
    languages: Mapping[str, Mapping[Rule, RuleSetting]] = Field(default_factory=dict)
    safety: Mapping[Rule, SafetyList] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _all_rules_are_there(self) -> Self:
        missing = [rule.value for rule in NINE if rule not in self.rules]
        if missing:
            raise ValueError(f"profile {self.name!r} lacks the rule(s) {', '.join(missing)}")
        named = {rule for settings in self.languages.values() for rule in settings}
        if further := sorted(named - set(self.rules)):
            raise ValueError(f"profile {self.name!r} has {', '.join(further)} for one language only")
        if unlisted := [rule.value for rule in SAFETY if rule in self.rules and rule not in self.safety]:
            raise ValueError(
                f"profile {self.name!r}: no word list under config/safety/ for {', '.join(unlisted)}"
            )
        return self

    @property
    def judged(self) -> tuple[Rule, ...]:
        """The rules of this profile, in the order their results are listed."""
        return tuple(rule for rule in Rule if rule in self.rules)

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


ROOT_PROFILE = "default"


def load_profiles(folder: Path | None = None) -> dict[str, FilterProfile]:
    """Return every profile under `config/filters/`, resolved, by name. Raises ConfigError."""
    folder = folder or config_dir() / "filters"
    safety = config_dir() / "safety"
    files = sorted([*folder.glob("*.yaml"), *safety.glob("*.yaml")])
    stamps = tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in files)
    return dict(_resolved(folder, safety, stamps))


@lru_cache(maxsize=4)
def _resolved(
    folder: Path, safety: Path, stamps: tuple[tuple[Path, int, int], ...]
) -> dict[str, FilterProfile]:
    """Resolve the profiles once for each state of their files."""
    root = load(ProfileRoot, folder / f"{ROOT_PROFILE}.yaml")
    files = {
        path.stem: load(ProfileFile, path)
        for path in sorted(folder.glob("*.yaml"))
        if path.stem != ROOT_PROFILE
    }
    resolved = {ROOT_PROFILE: _resolve_root(root, load_safety(safety))}
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


def load_safety(folder: Path) -> dict[Rule, SafetyList]:
    """Return the word lists under `folder`, by the rule of their level. Raises ConfigError."""
    lists = load_folder(SafetyList, folder)
    if unknown := sorted(set(lists) - set(SAFETY.values())):
        raise ConfigError(
            f"{folder}: no safety label {', '.join(unknown)}; there are: {', '.join(SAFETY.values())}"
        )
    return {rule: lists[level] for rule, level in SAFETY.items() if level in lists}


def _resolve_root(root: ProfileRoot, safety: Mapping[Rule, SafetyList]) -> FilterProfile:
    languages = _with_languages(root.rules, {}, root.languages)
    return FilterProfile(
        name=ROOT_PROFILE,
        description=root.description,
        parameters=root.parameters,
        rules=root.rules,
        languages=languages,
        safety=safety,
    )


def _resolve(name: str, file: ProfileFile, base: FilterProfile) -> FilterProfile:
    rules = {**base.rules, **{rule: change.over(base.rules.get(rule)) for rule, change in file.rules.items()}}
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
        safety=base.safety,
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
            settings[rule] = change.over(settings.get(rule, rules.get(rule)))
    return {lang: settings for lang, settings in languages.items() if settings}
