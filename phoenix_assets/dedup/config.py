"""Which sources are deduplicated against each other, how alike is too alike, and which copy is kept.

A group is the set of sources that share one index. Its banding decides which pairs are looked at, its
threshold which of them count. A pair with Jaccard similarity s shares a band with probability 1 - (1 -
s^rows)^bands.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from phoenix_assets.config import Config
from phoenix_assets.dedup.passages.config import PassageRules, PassagesConfig

MAX_SHINGLE: Final = 64


class Granularity(StrEnum):
    """The granularities at which whole documents are compared, in the order in which they decide."""

    URL = "url"
    EXACT = "exact"
    NEAR = "near"

    @property
    def column(self) -> str:
        """The column of the signatures that holds the print."""
        return {"url": "url_hash", "exact": "exact_hash", "near": "signature"}[self.value]

    @property
    def before(self) -> "Granularity | None":
        """The granularity whose survivors this one decides on."""
        order = list(Granularity)
        place = order.index(self)
        return order[place - 1] if place else None


class ShingleConfig(Config):
    """Tokens in one shingle: the script of its first token chooses, not the language label.

    A token is a run of letters and digits, or one single character of a script written without spaces
    (Chinese, Japanese, Thai, Lao, Khmer, Burmese).
    """

    words: int = Field(ge=1, le=MAX_SHINGLE)
    characters: int = Field(ge=1, le=MAX_SHINGLE)


class SignatureConfig(Config):
    """What a signature depends on: a change here makes every stored signature worthless."""

    permutations: int = Field(ge=1, le=4096)
    seed: int = Field(ge=0, lt=2**63)
    shingle: ShingleConfig


class GroupConfig(Config):
    """One dedup group: its sources, its banding, and the similarity from which a pair is a duplicate."""

    sources: list[str] = Field(min_length=1)
    bands: int = Field(default=0, ge=0)  # without bands and rows: datasketch's optimum for the threshold
    rows: int = Field(default=0, ge=0)
    threshold: float = Field(ge=0.0, le=1.0)  # least estimated similarity of a pair that is joined
    compared: int = Field(
        ge=1
    )  # members of a bucket that a further member is compared with, at most: the latest
    by_language: bool = False  # documents of different languages are never duplicates of each other


class QualityConfig(Config):
    """By which column of the filtered documents the better of two copies is known."""

    column: str
    better: Literal["lower", "higher"]


class PrintsConfig(Config):
    """All that the stored prints of a document depend on."""

    signature: SignatureConfig
    quality: QualityConfig
    tracking_parameters: tuple[str, ...]


class IndexConfig(Config):
    """How much an index holds in memory, however large the corpus is."""

    block_documents: int = Field(ge=1)  # decided at a time
    segment_documents: int = Field(ge=1)  # segments grow no larger by merging
    sort_memory: str = Field(pattern=r"^[0-9]+[KMG]iB$")  # beyond it, documents are sorted on disk


class DedupConfig(Config):
    """The whole of `config/dedup.yaml`."""

    signature: SignatureConfig
    quality: QualityConfig
    tracking_parameters: tuple[str, ...]  # names (regular expressions) of query parameters that name no page
    index: IndexConfig
    passages: PassagesConfig
    groups: dict[str, GroupConfig] = Field(min_length=1)
    default_group: str  # of the sources that no group names; they rank last, in name order
    priority: list[str]  # sources, best first: of two duplicates the one from the better source is kept

    @model_validator(mode="after")
    def _bands_are_chosen_where_none_are_named(self) -> Self:
        for name, group in self.groups.items():
            if (group.bands == 0) != (group.rows == 0):
                raise ValueError(f"group {name!r} names one of bands and rows: name both, or neither")
            if group.bands == 0:
                from phoenix_assets.dedup.banding import optimal_banding

                bands, rows = optimal_banding(group.threshold, self.signature.permutations)
                self.groups[name] = group.model_copy(update={"bands": bands, "rows": rows})
        return self

    @model_validator(mode="after")
    def _bands_fit_the_signature(self) -> Self:
        for name, group in self.groups.items():
            if group.bands * group.rows > self.signature.permutations:
                raise ValueError(
                    f"group {name!r} needs {group.bands} bands x {group.rows} rows "
                    f"= {group.bands * group.rows} values, a signature has {self.signature.permutations}: "
                    "lower bands or rows, or raise signature.permutations"
                )
        return self

    @model_validator(mode="after")
    def _default_group_exists(self) -> Self:
        if self.default_group not in self.groups:
            raise ValueError(f"default_group {self.default_group!r} is not one of {sorted(self.groups)}")
        return self

    @model_validator(mode="after")
    def _each_group_says_what_becomes_of_its_passages(self) -> Self:
        for name in self.groups.keys() ^ self.passages.groups.keys():
            told = (
                "is no dedup group" if name in self.passages.groups else "is a dedup group without passages"
            )
            raise ValueError(f"{name!r} {told}: `groups` and `passages.groups` must have the same names")
        return self

    @model_validator(mode="after")
    def _each_source_has_one_group_and_one_rank(self) -> Self:
        owner: dict[str, str] = {}
        for name, group in self.groups.items():
            for source in group.sources:
                if source in owner:
                    raise ValueError(
                        f"source {source!r} is in group {owner[source]!r} and in group {name!r}: "
                        "leave it in exactly one"
                    )
                owner[source] = name
        doubled = sorted({source for source in self.priority if self.priority.count(source) > 1})
        if doubled:
            raise ValueError(f"priority names {doubled} more than once: leave each source once")
        unranked = sorted(owner.keys() - set(self.priority))
        if unranked:
            raise ValueError(f"priority lacks {unranked}: add each source of a group at its rank")
        return self

    @property
    def prints(self) -> PrintsConfig:
        """What the stored prints depend on."""
        return PrintsConfig(
            signature=self.signature, quality=self.quality, tracking_parameters=self.tracking_parameters
        )

    def covering(self, sources: Iterable[str]) -> "DedupConfig":
        """Return this configuration with those of `sources` that no group names in the default group."""
        named = {source for group in self.groups.values() for source in group.sources}
        others = sorted(set(sources) - named)
        group = self.groups[self.default_group]
        wider = group.model_copy(update={"sources": [*group.sources, *others]})
        priority = [*self.priority, *(source for source in others if source not in self.priority)]
        return self.model_copy(
            update={"groups": {**self.groups, self.default_group: wider}, "priority": priority}
        )

    def group_of(self, source: str) -> str:
        """Return the name of the group that deduplicates `source`. Raises KeyError when no group does."""
        for name, group in self.groups.items():
            if source in group.sources:
                return name
        raise KeyError(f"no dedup group has source {source!r}: add it to one in config/dedup.yaml")

    def source_rank(self, source: str) -> int:
        """Return the rank of `source` in `priority`: 0 is the best. Raises KeyError when it is not listed."""
        if source not in self.priority:
            raise KeyError(f"priority in config/dedup.yaml lacks source {source!r}: add it at its rank")
        return self.priority.index(source)

    def passage_rules(self, source: str) -> PassageRules:
        """Return what becomes of the passages of `source`. Raises KeyError when no group deduplicates it."""
        group = self.group_of(source)
        return PassageRules(
            group=self.passages.groups[group],
            boilerplate=self.passages.boilerplate,
            by_language=self.groups[group].by_language,
            exempt=source in self.passages.exempt,
        )
