"""The filter funnel: nine rules over each document, all of them always computed, and those that its profile adds.

A rule has a value and, by the profile's bounds for the document's detected language, a condition. The drop reason
is the enforced failing rule of the highest priority (ties: the order of `Rule`), or "success". Rules that cannot be
judged, such as perplexity for a language without a model, have a null value and a true condition.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final

import fasttext
import numpy as np
import polars as pl

from phoenix_assets.clean.buffers import Codepoints, Floats, codepoints
from phoenix_assets.clean.code_rules import COLUMNS as CODE_COLUMNS
from phoenix_assets.clean.code_rules import code_rules
from phoenix_assets.clean.language import identify
from phoenix_assets.clean.math_rules import unbalanced_math
from phoenix_assets.clean.perplexity import Scorer, perplexity
from phoenix_assets.clean.profiles import NINE, SAFETY, FilterProfile, Rule, RuleSetting
from phoenix_assets.clean.safety import label, safety_values
from phoenix_assets.clean.scorers import load_scorer
from phoenix_assets.clean.text_rules import text_rules
from phoenix_assets.clean.wordlists import lexicon
from phoenix_assets.schema import KEPT

KERNEL_VERSION: Final = "3"

# The column that holds the value of each rule.
VALUES: Final = {
    Rule.PERPLEXITY: "perplexity",
    Rule.LANG_ID: "lang_score",
    Rule.FLAGGED_WORDS: "flagged_words",
    Rule.STOPWORDS: "stopwords",
    Rule.SPECIAL_CHARACTERS: "special_characters",
    Rule.CHARACTER_REPETITION: "character_repetition",
    Rule.WORD_REPETITION: "word_repetition",
    Rule.SHORT_LINE: "short_lines",
    Rule.NUMBER_WORDS: "number_words",
    Rule.ABNORMAL_CHARACTERS: "abnormal_characters",
    Rule.FOREIGN_CHARACTERS: "foreign_characters",
    Rule.MAX_LINE_LENGTH: "max_line_length",
    Rule.AVERAGE_LINE_LENGTH: "avg_line_length",
    Rule.ALPHANUMERIC: "alphanumeric_characters",
    Rule.ENCODED_SHARE: "base64",
    Rule.ENCODED_RUN: "base64_run",
    Rule.UNBALANCED_MATH: "unbalanced_math",
    **{rule: rule.value for rule in SAFETY},
}

BOUNDS: Final = ("above", "at_least", "below", "at_most")

FUNNEL: Final = pl.Schema(
    {
        "doc_id": pl.String(),
        "lang": pl.String(),
        "lang_score": pl.Float64(),
        "perplexity": pl.Float64(),
        "kept": pl.Boolean(),
        "drop_reason": pl.String(),
        "safety": pl.String(),
        "rules_name": pl.List(pl.String),
        "rules_value": pl.List(pl.Float64),
        "rules_cond": pl.List(pl.Boolean),
    }
)


@dataclass(frozen=True)
class FunnelModels:
    """Where the funnel's models are: language identification, and KenLM per language. Empty `kenlm`: no scores."""

    lid: Path
    kenlm: tuple[tuple[str, Path], ...] = ()

    @classmethod
    def of(cls, lid: Path, kenlm: Mapping[str, Path]) -> "FunnelModels":
        """Return the models of a mapping of languages to KenLM files."""
        return cls(lid, tuple(sorted(kenlm.items())))


def funnel(documents: pl.DataFrame, profile: FilterProfile, models: FunnelModels) -> pl.DataFrame:
    """Judge each document by the rules of `profile`.

    Reads the columns `doc_id` and `text`; a null text is an empty one. Returns one row a document in the same order,
    with the columns of `FUNNEL`; the three lists are parallel, in the order of `Rule`: the nine rules come first.
    """
    return judge(measure(documents, profile, models), profile)


def measure(documents: pl.DataFrame, profile: FilterProfile, models: FunnelModels) -> pl.DataFrame:
    """Compute the rules' values: `doc_id`, `lang` and one Float64 column per rule, named as in `VALUES`."""
    parameters = profile.parameters
    points = codepoints(documents["text"])
    identified = identify(points, load_lid(models.lid), parameters.language)
    lang = identified["lang"]
    scores = perplexity(points, lang, load_kenlm(models.kenlm), parameters.perplexity_characters)
    return documents.select("doc_id").hstack(
        [
            *identified.get_columns(),
            scores,
            *text_rules(points, lang, lexicon(parameters), parameters)
            .with_columns(pl.col("number_words").cast(pl.Float64))
            .get_columns(),
            *further_values(points, profile),
        ]
    )


def further_values(points: Codepoints, profile: FilterProfile) -> list[pl.Series]:
    """Compute the values of the rules that `profile` has beside the nine: columns named as in `VALUES`."""
    wanted = {VALUES[rule] for rule in profile.judged if rule not in NINE}
    columns: list[pl.Series] = []
    if wanted & set(CODE_COLUMNS):
        columns += code_rules(points, profile.parameters.encoded_characters).get_columns()
    if VALUES[Rule.UNBALANCED_MATH] in wanted:
        columns.append(unbalanced_math(points))
    if wanted & {rule.value for rule in SAFETY}:
        columns += safety_values(points, profile).get_columns()
    return [values for values in columns if values.name in wanted]


def judge(measured: pl.DataFrame, profile: FilterProfile) -> pl.DataFrame:
    """Apply the bounds of `profile` to the values of `measure`; return the columns of `FUNNEL`.

    Cheap: a threshold study judges the same values again under another profile. A rule whose values were not measured
    has null ones.
    """
    n, rules = measured.height, list(profile.judged)
    known = {
        rule: pl.col(VALUES[rule]) if VALUES[rule] in measured.columns else pl.lit(None) for rule in rules
    }
    values = measured.select(known[rule].cast(pl.Float64).alias(rule) for rule in rules).to_numpy()
    settings = _settings(profile)
    of_row = measured["lang"].replace_strict(
        list(settings), list(range(len(settings))), default=0, return_dtype=pl.Int64
    )
    row = of_row.fill_null(0).to_numpy()
    above, at_least, below, at_most = (_table(settings, rules, partial(_bound, name))[row] for name in BOUNDS)
    # A comparison with NaN, a value that is not there or a bound that is not given, is false.
    fails = (values <= above) | (values < at_least) | (values >= below) | (values > at_most)
    priority = _table(settings, rules, lambda setting: setting.priority if setting.enforced else math.inf)
    failing = np.where(fails, priority[row], math.inf)
    kept = np.isinf(failing).all(axis=1)
    reasons = pl.Series([rule.value for rule in rules] + [KEPT])
    return measured.select(
        "doc_id",
        "lang",
        "lang_score",
        "perplexity",
        kept=pl.Series(kept, dtype=pl.Boolean),
        drop_reason=reasons.gather(np.where(kept, len(rules), failing.argmin(axis=1))),
        safety=label(profile.judged, ~fails),
        rules_name=pl.Series([[rule.value for rule in rules]]).new_from_index(0, n),
        rules_value=_lists(pl.Series(values.ravel(), nan_to_null=True), rules),
        rules_cond=_lists(pl.Series(~fails.ravel()), rules),
    ).match_to_schema(FUNNEL)


def _settings(profile: FilterProfile) -> dict[str, Mapping[Rule, RuleSetting]]:
    """Return the settings of each language that has some of its own, after the common ones under ""."""
    own = {lang: {**profile.rules, **settings} for lang, settings in sorted(profile.languages.items())}
    return {"": profile.rules, **own}


def _table(
    settings: Mapping[str, Mapping[Rule, RuleSetting]],
    rules: list[Rule],
    entry: Callable[[RuleSetting], float],
) -> Floats:
    """Return `entry` of each language's setting of each rule: a row a language, a column a rule."""
    return np.array([[entry(of_lang[rule]) for rule in rules] for of_lang in settings.values()], np.float64)


def _bound(name: str, setting: RuleSetting) -> float:
    return setting.given().get(name, math.nan)


def _lists(values: pl.Series, rules: list[Rule]) -> pl.Series:
    """Return a list of a value a rule for each document."""
    return values.reshape((-1, len(rules))).arr.to_list()


@lru_cache(maxsize=2)
def _load_lid(path: Path, identity: tuple[int, int]) -> Any:
    return fasttext.load_model(str(path))


@lru_cache(maxsize=8)
def _load_kenlm(path: Path, identity: tuple[int, int]) -> Scorer:
    return load_scorer(path)


def load_lid(path: Path) -> Any:
    """Return the fastText model at `path`, loaded once per process and version of the file."""
    return _load_lid(path, _identity(path))


def load_kenlm(paths: tuple[tuple[str, Path], ...]) -> dict[str, Scorer]:
    """Return the KenLM models at `paths`, each loaded once per process and version of the file."""
    return {lang: _load_kenlm(path, _identity(path)) for lang, path in paths}


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size
