"""The model of `config/sample.yaml`: which archives are fetched, and which deliveries are made of them.

An archive states its licence and where inside itself that is said, so that a newer version under other
terms is noticed. A delivery names one recipe with its parameters. `small` on a delivery puts it into the
small corpus, cut to `small` items; deliveries without it are left out there.
"""

import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from phoenix_assets.config import Config

BUCKETS = 100


class ArchiveKind(StrEnum):
    """Where an archive comes from."""

    DEB = "deb"
    PYPI = "pypi"
    SDIST = "sdist"
    CPYTHON = "cpython"


class Evidence(Config):
    """The member of an archive that states its licence, and the words by which that is recognised."""

    member: str
    says: str


class Archive(Config):
    """One package archive: how to fetch it, what it holds, under which licence (SPDX)."""

    kind: ArchiveKind
    version: str | None = (
        None  # only from PyPI: Debian's version is the one that the machine's release offers
    )
    licence: str
    evidence: Evidence
    holds: str
    members: tuple[str, ...]  # shell patterns over member paths; `*` crosses folders
    skip: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _pinned_iff_pypi(self) -> Self:
        if (self.kind in {ArchiveKind.PYPI, ArchiveKind.SDIST}) != (self.version is not None):
            raise ValueError("`version` belongs to archives of kind `pypi` and `sdist`, and only to them")
        return self


class _Delivery(Config):
    source: str
    delivery: str
    received: datetime.date
    vendor: str
    format: str
    licence: str | None = None  # where it differs from the archives' own
    licence_basis: str | None = None
    small: PositiveInt | None = None
    max_items: PositiveInt | None = None

    @model_validator(mode="after")
    def _own_licence_has_a_basis(self) -> Self:
        if (self.licence is None) != (self.licence_basis is None):
            raise ValueError("`licence` and `licence_basis` go together")
        return self


class Site(Config):
    """Pages of one archive that share a folder, served from one base URL."""

    archive: str
    root: str  # folder in the archive that the base URL stands for, with its final slash
    base_url: str
    language: str
    skip: tuple[str, ...] = ()


class Pages(_Delivery):
    """Web pages as WARC response records: pages whose path hashes into `buckets` (first, last) of 100."""

    recipe: Literal["pages"]
    sites: tuple[Site, ...]
    buckets: tuple[int, int] = (0, BUCKETS - 1)
    crawled: datetime.datetime
    records_per_file: PositiveInt


class Recrawl(Pages):
    """A later crawl: fresh pages, `edited` near-copies of an earlier delivery's, `copied` exact copies."""

    recipe: Literal["recrawl"]  # type: ignore[assignment]
    earlier: str
    edited: PositiveInt
    copied: PositiveInt
    edited_base_url: str
    copied_base_url: str
    min_characters: (
        PositiveInt  # of visible text: shorter pages are not near-copies after one changed sentence
    )


class ParallelPairs(_Delivery):
    """Paragraphs of same-path pages in two languages, matched by paragraph id."""

    recipe: Literal["parallel_pairs"]
    english: Site
    chinese: Site
    min_chinese_share: Annotated[
        float, Field(gt=0, lt=1)
    ]  # of a paragraph's characters; less is not translated


class Originals(_Delivery):
    """Members of archives as they are (gzip wrappers removed)."""

    recipe: Literal["originals"]
    archives: tuple[str, ...]
    members: tuple[str, ...]


class WikiDump(_Delivery):
    """A MediaWiki XML dump, cut after whole pages."""

    recipe: Literal["wiki_dump"]
    archive: str
    member: str


class Novel(_Delivery):
    """Chapters `first` to `last` (from 1) of a novel, a JSON list of strings: a TXT each, or one EPUB."""

    recipe: Literal["novel"]
    archive: str
    member: str
    title: str
    author: str
    first: PositiveInt
    last: PositiveInt


class ManPages(_Delivery):
    """Manual pages rendered to plain text, one TXT a page."""

    recipe: Literal["man_pages"]
    archive: str
    root: str
    skip: tuple[str, ...] = ()


class Fortunes(_Delivery):
    """Poems and sayings of `fortune` files: one TXT for `entries_per_file` entries."""

    recipe: Literal["fortunes"]
    archive: str
    collections: dict[str, PositiveInt]  # member → entries per file


class SourceTree(_Delivery):
    """Source files as one tar.gz, at most `max_bytes` of them."""

    recipe: Literal["source_tree"]
    archive: str
    root: str  # prefix of the members that becomes the archive's top folder
    top: str
    max_bytes: PositiveInt


class Faq(_Delivery):
    """Question and answer pairs of FAQ pages: a heading that asks, and the text up to the next heading."""

    recipe: Literal["faq"]
    archives: tuple[str, ...]
    min_answer_characters: PositiveInt


Delivery = Annotated[
    Pages | Recrawl | ParallelPairs | Originals | WikiDump | Novel | ManPages | Fortunes | SourceTree | Faq,
    Field(discriminator="recipe"),
]


def archive_names(delivery: Delivery) -> tuple[str, ...]:
    """Return the names of the archives that `delivery` reads, in order, each once."""
    match delivery:
        case Pages():
            names = [site.archive for site in delivery.sites]
        case ParallelPairs():
            names = [delivery.english.archive, delivery.chinese.archive]
        case Originals() | Faq():
            names = list(delivery.archives)
        case _:
            names = [delivery.archive]
    return tuple(dict.fromkeys(names))


class SampleConfig(Config):
    """What `config/sample.yaml` says."""

    allows: tuple[str, ...]
    download_seconds: PositiveInt  # limit for fetching one archive
    archives: dict[str, Archive]
    deliveries: tuple[Delivery, ...]

    @model_validator(mode="after")
    def _names_resolve(self) -> Self:
        names = [(one.source, one.delivery) for one in self.deliveries]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"deliveries named twice: {sorted(repeated)}")
        for one in self.deliveries:
            if missing := [name for name in archive_names(one) if name not in self.archives]:
                raise ValueError(f"{one.source}/{one.delivery} reads archives that are not listed: {missing}")
            if isinstance(one, Recrawl) and (one.source, one.earlier) not in names:
                raise ValueError(
                    f"{one.delivery} re-crawls {one.earlier!r}, which is not a delivery of {one.source}"
                )
            if one.licence is None:
                self._archive_licence(one)
        return self

    def _archive_licence(self, one: Delivery) -> str:
        licences = {self.archives[name].licence for name in archive_names(one)}
        if len(licences) > 1:
            raise ValueError(
                f"{one.source}/{one.delivery} mixes archives under {sorted(licences)}; "
                "state one `licence` for it, with its basis, or split it"
            )
        return licences.pop()

    def licence(self, one: Delivery) -> str:
        """Return the SPDX licence of a delivery: its own, or the one that its archives share."""
        return one.licence or self._archive_licence(one)

    def chosen(self, small: bool) -> tuple[Delivery, ...]:
        """Return the deliveries of the whole corpus, or those of the small one."""
        return tuple(one for one in self.deliveries if not small or one.small is not None)
