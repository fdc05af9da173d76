"""What a rule's bounds did to documents, and what other bounds would do; no text is read and no rule is run.

The ledger keeps every rule's value and verdict, also after the first failure. So a document's fate under another bound
of one rule is known: it is kept if no other enforced rule fails and its value is within the new bounds.

    judged      a row a document: its value, whether it is kept, and whether it would be
    tally       the same, counted by language, bin and fate: all numbers and pictures come from these few rows
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Final

import polars as pl

from phoenix_assets.clean.profiles import Bounds, RuleSetting
from phoenix_assets.clean.study_config import ProfileInForce

KERNEL_VERSION: Final = "1"

JUDGED: Final = pl.Schema(
    {
        "doc_id": pl.String(),
        "delivery": pl.String(),
        "lang": pl.String(),  # "" where the ledger knows none
        "chars": pl.Int64(),
        "value": pl.Float64(),  # null where the rule could not be judged
        "kept": pl.Boolean(),
        "drop_reason": pl.String(),
        "passes": pl.Boolean(),  # the rule, by the bounds in force
        "would_pass": pl.Boolean(),  # the rule, by the new bounds
        "would_keep": pl.Boolean(),  # all enforced rules, with the new bounds in this one
    }
)
FATE: Final = ("kept", "passes", "would_pass", "would_keep")
ANY: Final = ""  # the language of bounds that hold for all languages without bounds of their own


@dataclass(frozen=True)
class Axis:
    """Equal bins over a range of values, or of their logarithms."""

    low: float
    high: float
    bins: int
    log: bool = False

    def edges(self) -> list[float]:
        """Return the bins' edges in the values' own unit, one more than there are bins."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        points = [low + (high - low) * step / self.bins for step in range(self.bins + 1)]
        return [10.0**point for point in points] if self.log else points

    def bin_of(self, value: pl.Expr) -> pl.Expr:
        """Return the bin of each value, Int32; what lies beyond the range is in the first or last one."""
        scaled = value.clip(lower_bound=self.low).log10() if self.log else value
        low, high = self._scaled(self.low), self._scaled(self.high)
        return ((scaled - low) / (high - low) * self.bins).floor().clip(0, self.bins - 1).cast(pl.Int32)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value


def axis_over(low: float, high: float, marks: Sequence[float], *, bins: int, log: bool) -> Axis:
    """Return an axis on which all values from `low` to `high` and all `marks` (bounds) have room."""
    if log:  # zero and less have no logarithm: they stand in the first bin
        marks = [mark for mark in marks if mark > 0]
        low, high = max(low, min([1.0, *marks])), max(high, 1.0)
    low, high = min([low, *marks]), max([high, *marks])
    if high <= low:
        high = low * 10 if log else low + 1
    return Axis(low, high, bins, log)


def judged(
    ledger: pl.LazyFrame,
    rule: str,
    rules: Sequence[str],
    profile: ProfileInForce,
    new: Mapping[str, Bounds] | None = None,
) -> pl.LazyFrame:
    """Return JUDGED rows of LEDGER rows whose lists are parallel to `rules`, judged by `profile`.

    `new` has the bounds to try, by language (`ANY` for those without their own); without it nothing changes. New bounds
    are tried as if enforced, whatever the rule is now.
    """
    place = list(rules).index(rule)
    verdicts, value = pl.col("rules_cond").list, pl.col("rules_value").list.get(place)
    lang = pl.col("lang").fill_null("") if "lang" in ledger.collect_schema() else pl.lit("")
    others = [
        verdicts.get(other) | ~_enforced(profile, name) for other, name in enumerate(rules) if name != rule
    ]
    would_pass = _within_own(new) if new else pl.col("passes")
    would_keep = pl.all_horizontal("others", "would_pass") if new else pl.col("kept")
    return (
        ledger.with_columns(lang=lang, chars=pl.col("chars_in"), value=value, passes=verdicts.get(place))
        .with_columns(others=pl.all_horizontal(others), would_pass=would_pass)
        .with_columns(would_keep=would_keep)
        .select(JUDGED.names())
    )


def new_bounds(profile: ProfileInForce, rule: str, bounds: Bounds, lang: str | None) -> dict[str, Bounds]:
    """Return the bounds to try by language: `bounds` for `lang`, or for all languages without their own.

    What the profile says of other languages stays; a rule that is not enforced there stays without effect.
    """
    own = {name: _effective(setting) for name, setting in profile.own(rule).items()}
    common = _effective(profile.rules[rule])
    return {ANY: common, **own, lang: bounds} if lang else {ANY: bounds, **own}


def within(value: pl.Expr, bounds: Bounds) -> pl.Expr:
    """Tell whether values satisfy all given bounds; what could not be judged (null) does."""
    compare = {
        "above": value.gt,
        "at_least": value.ge,
        "below": value.lt,
        "at_most": value.le,
    }
    holds = [compare[name](bound) for name, bound in bounds.given().items()]
    return pl.all_horizontal(*holds, pl.lit(True)).fill_null(True)


def summary(rows: pl.LazyFrame, quantiles: Sequence[float]) -> pl.DataFrame:
    """Return a row a language, most documents first: documents, judged, low, high and quantiles `q0.5`, … of the value."""
    value = pl.col("value")
    return (
        rows.group_by("lang")
        .agg(
            value.count().alias("judged"),
            value.min().alias("low"),
            value.max().alias("high"),
            *(value.quantile(q, "nearest").alias(f"q{q:g}") for q in quantiles),
            documents=pl.len(),
        )
        .sort("documents", "lang", descending=[True, False])
        .collect(engine="streaming")
    )


def tally(rows: pl.LazyFrame, axis: Axis) -> pl.LazyFrame:
    """Count JUDGED rows by lang, bin (null: not judged) and fate; columns `documents` and `chars`, sorted."""
    keys = ["lang", "bin", *FATE]
    return (
        rows.with_columns(bin=axis.bin_of(pl.col("value")))
        .group_by(keys)
        .agg(documents=pl.len().cast(pl.Int64), chars=pl.col("chars").sum())
        .sort(keys)
    )


def by_language(
    counted: pl.DataFrame, bytes_per_char: Mapping[str, float], bytes_per_token: float
) -> pl.DataFrame:
    """Return a row a language of a `tally`, most documents first: documents and estimated tokens of each fate.

    Columns `<fate>` and `<fate>_tokens` for all, kept, fails (the rule), would_drop and would_return.
    `bytes_per_char` comes from `bytes_per_character`.
    """
    ratio = pl.col("lang").replace_strict(
        dict(bytes_per_char), default=bytes_per_char[ANY], return_dtype=pl.Float64
    )
    kept, stays = pl.col("kept"), pl.col("would_keep")
    fates = {
        "all": pl.lit(True),
        "kept": kept,
        "fails": ~pl.col("passes"),
        "would_drop": kept & ~stays,
        "would_return": ~kept & stays,
    }
    tokens = (pl.col("chars") * ratio / bytes_per_token).alias("tokens")
    return (
        counted.with_columns(tokens)
        .group_by("lang")
        .agg(
            *(pl.col("documents").filter(fate).sum().alias(name) for name, fate in fates.items()),
            *(
                pl.col("tokens").filter(fate).sum().round().cast(pl.Int64).alias(f"{name}_tokens")
                for name, fate in fates.items()
            ),
        )
        .sort("all", "lang", descending=[True, False])
    )


def sampled(rows: pl.LazyFrame, chosen: pl.Expr, count: int) -> pl.LazyFrame:
    """Return `count` of the rows that are `chosen`. doc_ids are hashes: the smallest are a draw, the same each time."""
    return rows.filter(chosen).bottom_k(count, by="doc_id").sort("doc_id")


def bytes_per_character(texts: pl.DataFrame) -> dict[str, float]:
    """Return UTF-8 bytes a character in each `lang` of a frame with `lang` and `text`, and in all together as `ANY`."""
    text = pl.col("text").str
    ratio = text.len_bytes().sum() / text.len_chars().sum()
    known = texts.filter(text.len_chars() > 0)
    together = known.select(ratio).item() if known.height else 1.0
    return dict(known.group_by("lang").agg(ratio).sort("lang").iter_rows()) | {ANY: together}


def _effective(setting: RuleSetting) -> Bounds:
    return Bounds.model_validate(setting.given()) if setting.enforced else Bounds()


def _enforced(profile: ProfileInForce, rule: str) -> pl.Expr:
    common = pl.lit(profile.rules[rule].enforced)
    return _by_language(common, {lang: pl.lit(one.enforced) for lang, one in profile.own(rule).items()})


def _within_own(bounds: Mapping[str, Bounds]) -> pl.Expr:
    value = pl.col("value")
    own = {lang: within(value, one) for lang, one in bounds.items() if lang != ANY}
    return _by_language(within(value, bounds[ANY]), own)


def _by_language(common: pl.Expr, own: Mapping[str, pl.Expr]) -> pl.Expr:
    """Return `common`, or for the languages of `own` what it has."""
    return reduce(
        lambda rest, item: pl.when(pl.col("lang") == item[0]).then(item[1]).otherwise(rest),
        own.items(),
        common,
    )
