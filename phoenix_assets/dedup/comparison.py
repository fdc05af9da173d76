"""What was kept beside what was dropped, as one HTML file that needs no other and runs no script."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl
from jinja2 import Environment, StrictUndefined, Template

from phoenix_assets.dedup.comparison_config import ComparisonConfig
from phoenix_assets.dedup.differences import Difference, difference
from phoenix_assets.visible import visible

KERNEL_VERSION: Final = "1"

PAIR: Final = pl.Schema(
    {
        "doc_id": pl.String,
        "source": pl.String,
        "delivery": pl.String,
        "url": pl.String,
        "text": pl.String,  # null when it cannot be read any more, as of the kept one
        "duplicate_of": pl.String,  # doc_id of the kept one
        "kept_source": pl.String,
        "kept_delivery": pl.String,
        "kept_url": pl.String,
        "kept_text": pl.String,
        "similarity": pl.Float64,
        "band": pl.Int16,
        "cluster": pl.String,
        "copies": pl.Int64,  # documents in the cluster
        "later": pl.String,  # doc_id that the kept one itself stands behind at a later granularity, mostly null
        "later_granularity": pl.String,
    }
)
MEMBER: Final = pl.Schema(
    {
        "cluster": pl.String,
        "doc_id": pl.String,
        "source": pl.String,
        "delivery": pl.String,
        "url": pl.String,
        "duplicate_of": pl.String,  # null when kept
        "similarity": pl.Float64,
        "band": pl.Int16,
    }
)
_MEMBER_OF_A_PAIR: Final = ("doc_id", "source", "delivery", "url", "text")


@dataclass(frozen=True)
class Section:
    """One pair of the report."""

    heading: str
    kept: Mapping[str, Any]
    dropped: Mapping[str, Any]
    difference: Difference
    members: list[dict[str, Any]]  # of its cluster, when they are listed
    unlisted: int

    @property
    def counts(self) -> str:
        """How much is the same, for people."""
        found = self.difference
        if self.kept["text"] is None or self.dropped["text"] is None:
            return "A text cannot be read any more."
        if not found.only_kept and not found.only_dropped:
            return f"The texts are equal: {found.equal:,} characters."
        return (
            f"{found.equal:,} characters are equal, {found.only_kept:,} stand only in the kept text, "
            f"{found.only_dropped:,} only in the dropped one."
        )


def report(
    pairs: pl.DataFrame,
    members: pl.DataFrame,
    *,
    title: str,
    summary: str,
    similarities: Mapping[str, int],
    sizes: Mapping[str, int],
    config: ComparisonConfig,
) -> str:
    """Return HTML for PAIR rows, with the MEMBER rows of their clusters (none: not listed) and two histograms."""
    return _template().render(
        title=title,
        summary=summary,
        similarities=similarities,
        sizes=sizes,
        sections=list(_sections(pairs, members, config)),
    )


def _sections(pairs: pl.DataFrame, members: pl.DataFrame, config: ComparisonConfig) -> Iterator[Section]:
    for row in pairs.iter_rows(named=True):
        kept = {name: row[f"kept_{name}"] for name in _MEMBER_OF_A_PAIR if name != "doc_id"}
        kept |= {"doc_id": row["duplicate_of"]} | {name: row[name] for name in ("later", "later_granularity")}
        dropped = {name: row[name] for name in _MEMBER_OF_A_PAIR} | {"later": None}
        listed = members.filter(pl.col("cluster") == row["cluster"])
        yield Section(
            heading=f"similarity {row['similarity']:.2f}, cluster of {row['copies']:,}",
            kept=kept,
            dropped=dropped,
            difference=difference(kept["text"] or "", dropped["text"] or "", config),
            members=listed.head(config.members).to_dicts(),
            unlisted=max(0, listed.height - config.members),
        )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["visible"] = visible
    source = Path(__file__).with_name("comparison.html.jinja").read_text("utf-8")
    return environment.from_string(source)
