"""What people are told of a mixture: a dataset card (Markdown with YAML in front, as Hugging Face reads it)."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import yaml

from phoenix_assets.lineage import LicenceTerms, LineageRecord
from phoenix_assets.schema import Stage

KERNEL_VERSION: Final = "1"
BY: Final = (
    "documents",
    "copies",
    "tokens",
)  # distinct documents, documents as often as they come, estimated tokens
_SIZES: Final = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"),
                 (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"))  # fmt: skip
_BOUNDS: Final = {"above": ">", "at_least": "≥", "below": "<", "at_most": "≤"}
_OWN_LICENCE: Final = "LicenseRef-"
_ISO: Final = re.compile(r"[a-z]{2,3}")


@dataclass(frozen=True)
class MixtureFacts:
    """A mixture as it was made: what it holds, and the records of the stages that its documents passed."""

    version: str
    record: LineageRecord
    storage_version: int
    components: pl.DataFrame  # component, split and BY
    deliveries: pl.DataFrame  # source, delivery, vendor, received and BY
    languages: pl.DataFrame  # lang and BY
    stages: Sequence[LineageRecord]  # of every stage and delivery behind it

    @property
    def licences(self) -> list[str]:
        """The licence ids of all deliveries."""
        return sorted({term.licence for term in self.record.licences})

    @property
    def documents(self) -> int:
        """How many distinct documents it has."""
        return int(self.components["documents"].sum())

    @property
    def tokens(self) -> int:
        """How many estimated tokens it has, repeats counted."""
        return int(self.components["tokens"].sum())

    @property
    def known_languages(self) -> list[str]:
        """The codes of its languages, the largest first."""
        return [lang for lang in self.languages["lang"] if _ISO.fullmatch(lang)]

    def summary(self) -> str:
        """Return what it is in a sentence."""
        sources = self.deliveries["source"].unique().sort()
        return (
            f"Mixture {self.version}: {self.documents:,} documents, {self.tokens:,} estimated tokens of"
            f" {', '.join(sources)}, from {self.deliveries.height} deliveries."
        )


def dataset_card(facts: MixtureFacts) -> str:
    """Return the card of a mixture."""
    record = facts.record
    front = yaml.safe_dump(_front(facts), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{front}---\n",
        f"# Mixture {facts.version}\n",
        f"{facts.summary()}\n",
        f"Made {record.finished[:10]} as version `{record.data_version}` (table version {facts.storage_version}) by code"
        f" `{record.code_version}`.\n",
        "## Components\n",
        _table(facts.components),
        "## Sources and licences\n",
        _table(_with_terms(facts.deliveries, record.licences)),
        "## Languages\n",
        _table(facts.languages),
        "## Funnel\n",
        "Documents of these deliveries, stage by stage.\n",
        _table(funnel(facts.stages)),
        "## Rules\n",
        *_rules(facts.stages),
        "## Recipe\n",
        f"```yaml\n{yaml.safe_dump(_told(record.config.get('recipe')), sort_keys=False, allow_unicode=True)}```\n",
    ]
    return "\n".join(parts)


def funnel(stages: Iterable[LineageRecord]) -> pl.DataFrame:
    """Return documents in, kept and dropped of each source and stage, and the reasons of the drops."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    reasons: dict[tuple[str, str], Counter[str]] = {}
    for record in stages:
        source, _, stage = record.asset.partition("/")
        counts.setdefault((source, stage), Counter()).update(
            {name: record.counts.get(name, 0) for name in ("rows_in", "rows_out", "rows_dropped")}
        )
        reasons.setdefault((source, stage), Counter()).update(record.reasons)
    order = {stage.value: place for place, stage in enumerate(Stage)}
    rows = [
        (source, stage, count["rows_in"], count["rows_out"], count["rows_dropped"],
         ", ".join(f"{reason} {documents:,}" for reason, documents in reasons[source, stage].most_common()))
        for (source, stage), count in sorted(counts.items(), key=lambda one: (one[0][0], order.get(one[0][1], 0)))
    ]  # fmt: skip
    schema = dict.fromkeys(("source", "stage"), pl.String) | dict.fromkeys(
        ("in", "kept", "dropped"), pl.Int64
    )
    return pl.DataFrame(rows, schema=schema | {"reasons": pl.String}, orient="row")


def _front(facts: MixtureFacts) -> dict[str, Any]:
    licences = facts.licences
    single = (
        licences[0].lower() if len(licences) == 1 and not licences[0].startswith(_OWN_LICENCE) else "other"
    )
    size = next((name for limit, name in _SIZES if facts.documents < limit), "n>10B")
    return {
        "pretty_name": f"Mixture {facts.version}",
        "language": facts.known_languages,
        "license": single,
        **({} if single != "other" else {"license_name": " AND ".join(licences)}),
        "task_categories": ["text-generation"],
        "size_categories": [size],
    }


def _with_terms(deliveries: pl.DataFrame, terms: Iterable[LicenceTerms]) -> pl.DataFrame:
    rows = [
        (one.source, one.delivery, one.licence, one.expires or "never", ", ".join(one.allows))
        for one in terms
    ]
    schema = dict.fromkeys(("source", "delivery", "licence", "expires", "allows"), pl.String)
    return deliveries.join(
        pl.DataFrame(rows, schema=schema, orient="row"),
        on=["source", "delivery"],
        how="left",
        maintain_order="left",
    )


def _rules(stages: Iterable[LineageRecord]) -> Iterator[str]:
    """Yield what each source's filter profile asks of a document."""
    profiles: dict[str, Any] = {}
    for record in stages:
        source, _, stage = record.asset.partition("/")
        profile = record.config.get("filter_profile")
        if stage == Stage.FILTERED and isinstance(profile, dict):
            profiles[source] = profile
    for source, profile in sorted(profiles.items()):
        yield f"**{source}**: profile `{profile.get('name')}`, {profile.get('description')}.\n"
        rows = [
            (name, *_asked(rule))
            for name, rule in profile.get("rules", {}).items()
            if rule.get("enforced") and _asked(rule)[0]
        ]
        yield _table(
            pl.DataFrame(rows, schema=["rule", "keeps a document if its value is", "because"], orient="row")
        )


def _asked(rule: Mapping[str, Any]) -> tuple[str, str]:
    bounds = [f"{sign} {rule[name]:g}" for name, sign in _BOUNDS.items() if rule.get(name) is not None]
    return " and ".join(bounds), str(rule.get("reason") or "")


def _told(value: Any) -> Any:
    """Return configuration without what it leaves open."""
    if isinstance(value, dict):
        return {name: _told(one) for name, one in value.items() if one is not None}
    return value


def _table(rows: pl.DataFrame) -> str:
    lines = [f"| {' | '.join(rows.columns)} |", f"|{'---|' * rows.width}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows.iter_rows()]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    text = "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return " ".join(text.split()).replace("|", "\\|")
