"""The filter funnel: nine rules over each document, all of them always computed.

A rule has a value and, by the profile's bounds for the document's detected language, a condition. The drop reason
is the enforced failing rule of the highest priority (ties: the order of `Rule`), or "success". Rules that cannot be
judged, such as perplexity for a language without a model, have a null value and a true condition.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import fasttext
import kenlm
import polars as pl

from phoenix_assets.clean.buffers import codepoints
from phoenix_assets.clean.characters import character_statistics
from phoenix_assets.clean.config import FilterProfile, Rule, RuleSetting
from phoenix_assets.clean.language import identify
from phoenix_assets.clean.perplexity import perplexity
from phoenix_assets.clean.repetition import character_repetition
from phoenix_assets.clean.segmentation import segment
from phoenix_assets.clean.wordlists import lexicon
from phoenix_assets.clean.words import word_statistics
from phoenix_assets.schema import KEPT

KERNEL_VERSION: Final = "1"

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
}

FUNNEL: Final = pl.Schema(
    {
        "doc_id": pl.String(),
        "lang": pl.String(),
        "lang_score": pl.Float64(),
        "perplexity": pl.Float64(),
        "kept": pl.Boolean(),
        "drop_reason": pl.String(),
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
    """Judge each document by the nine rules of `profile`.

    Reads the columns `doc_id` and `text`; a null text is an empty one. Returns one row a document in the same order,
    with the columns of `FUNNEL`; the three lists are parallel, in the order of `Rule`.
    """
    return judge(measure(documents, profile, models), profile)


def measure(documents: pl.DataFrame, profile: FilterProfile, models: FunnelModels) -> pl.DataFrame:
    """Compute the rules' values: `doc_id`, `lang` and one Float64 column per rule, named as in `VALUES`."""
    parameters = profile.parameters
    text = documents["text"].fill_null("")
    points = codepoints(text)
    identified = identify(points, load_lid(models.lid), parameters.language)
    lang = identified["lang"]
    scores = perplexity(points, lang, load_kenlm(models.kenlm), parameters.perplexity_characters)
    segmented = segment(text, lang)
    words = points if segmented is text else codepoints(segmented)
    return documents.select("doc_id").hstack(
        [
            *identified.get_columns(),
            scores,
            *character_statistics(points, parameters.short_line_characters).get_columns()[1:],
            character_repetition(points, parameters.character_ngram),
            *word_statistics(words, lang, lexicon(parameters), parameters.word_ngram)
            .with_columns(pl.col("number_words").cast(pl.Float64))
            .get_columns(),
        ]
    )


def judge(measured: pl.DataFrame, profile: FilterProfile) -> pl.DataFrame:
    """Apply the bounds of `profile` to the values of `measure`; return the columns of `FUNNEL`.

    Cheap: a threshold study judges the same values again under another profile.
    """
    rules = list(Rule)
    judged = measured.with_columns(
        *(_by_language(profile, rule, _holds).alias(rule.value) for rule in rules),
        *(_by_language(profile, rule, _failing_priority).alias(f"{rule.value}/priority") for rule in rules),
    )
    highest = pl.min_horizontal(*(f"{rule.value}/priority" for rule in rules))
    reason = pl.coalesce(
        *(pl.when(pl.col(f"{rule.value}/priority") == highest).then(pl.lit(rule.value)) for rule in rules),
        pl.lit(KEPT),
    )
    return judged.select(
        "doc_id",
        "lang",
        "lang_score",
        "perplexity",
        kept=highest.is_null(),
        drop_reason=reason,
        rules_name=pl.concat_list(*(pl.lit(rule.value) for rule in rules)),
        rules_value=pl.concat_list(*(VALUES[rule] for rule in rules)),
        rules_cond=pl.concat_list(*(rule.value for rule in rules)),
    ).match_to_schema(FUNNEL)


@lru_cache(maxsize=2)
def _load_lid(path: Path, identity: tuple[int, int]) -> Any:
    return fasttext.load_model(str(path))


@lru_cache(maxsize=8)
def _load_kenlm(path: Path, identity: tuple[int, int]) -> Any:
    return kenlm.Model(str(path))


def load_lid(path: Path) -> Any:
    """Return the fastText model at `path`, loaded once per process and version of the file."""
    return _load_lid(path, _identity(path))


def load_kenlm(paths: tuple[tuple[str, Path], ...]) -> dict[str, Any]:
    """Return the KenLM models at `paths`, each loaded once per process and version of the file."""
    return {lang: _load_kenlm(path, _identity(path)) for lang, path in paths}


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def _holds(value: pl.Expr, setting: RuleSetting) -> pl.Expr:
    """Return whether `value` satisfies every bound; a null value does."""
    compare = {"above": value.gt, "at_least": value.ge, "below": value.lt, "at_most": value.le}
    holds = pl.all_horizontal(
        *(compare[name](bound) for name, bound in setting.given().items()), pl.lit(True)
    )
    return holds.fill_null(True)


def _failing_priority(value: pl.Expr, setting: RuleSetting) -> pl.Expr:
    """Return the rule's priority where it fails and is enforced, else null."""
    if not setting.enforced:
        return pl.lit(None, pl.Int32)
    return pl.when(~_holds(value, setting)).then(pl.lit(setting.priority, pl.Int32))


def _by_language(profile: FilterProfile, rule: Rule, outcome: Any) -> pl.Expr:
    value = pl.col(VALUES[rule])
    expression: pl.Expr = outcome(value, profile.rules[rule])
    for lang, settings in sorted(profile.languages.items()):
        if rule in settings:
            expression = (
                pl.when(pl.col("lang") == lang).then(outcome(value, settings[rule])).otherwise(expression)
            )
    return expression
