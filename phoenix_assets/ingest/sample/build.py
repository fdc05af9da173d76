"""Build the sample corpus: fetch what is missing, make what is not landed yet, leave the rest alone."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from phoenix_assets.config import config_dir, digest, load
from phoenix_assets.ingest.delivery import DeliveryManifest, Licence, Use
from phoenix_assets.ingest.sample.archives import Fetched, Progress, fetch, read_members
from phoenix_assets.ingest.sample.bundles import originals, source_tree, wiki_dump
from phoenix_assets.ingest.sample.config import (
    Delivery,
    Faq,
    Fortunes,
    ManPages,
    Novel,
    Originals,
    Pages,
    ParallelPairs,
    Recrawl,
    SampleConfig,
    SourceTree,
    archive_names,
)
from phoenix_assets.ingest.sample.faq import faq
from phoenix_assets.ingest.sample.land import is_landed, land, origin_text
from phoenix_assets.ingest.sample.parallel_pairs import parallel_pairs
from phoenix_assets.ingest.sample.plain_texts import fortunes, man_pages, novel
from phoenix_assets.ingest.sample.warc_pages import Members, pages, recrawl

KERNEL_VERSION: Final = "1"  # of the recipes: raise it when one gives other bytes for the same archives
_VENDOR_LENGTH: Final = 200


@dataclass(frozen=True)
class Landed:
    """A delivery of the sample in the landing folder. `built` is False when it was there already."""

    source: str
    delivery: str
    folder: Path
    built: bool


def load_sample_config(path: Path | None = None) -> SampleConfig:
    """Read `config/sample.yaml`, or the file at `path`. Raises ConfigError."""
    return load(SampleConfig, path or config_dir() / "sample.yaml")


def build_sample(
    home: Path,
    config: SampleConfig,
    progress: Progress = lambda line: None,
    *,
    small: bool = False,
    cache: Path | None = None,
) -> tuple[Landed, ...]:
    """Land the sample's deliveries under `home/landing`; return them in the configuration's order.

    Archives are kept under `cache` (default `home/cache/archives`). `small` lands the small corpus instead:
    use another home for it. `progress` gets one line for each step that does something. Raises ArchiveError
    when an archive cannot be had or is not what the configuration says.
    """
    chosen = config.chosen(small)
    needed = dict.fromkeys(name for spec in chosen for name in archive_names(spec))
    store = cache or home / "cache" / "archives"
    fetched = {
        name: fetch(name, config.archives[name], store, progress, config.download_seconds) for name in needed
    }
    members: dict[str, dict[str, bytes]] = {}
    landed = []
    for spec in chosen:
        archives = [fetched[name] for name in archive_names(spec)]
        fingerprint = _fingerprint(spec, config, archives, small)
        folder = home / "landing" / spec.source / spec.delivery
        due = not is_landed(folder, fingerprint)
        if due:
            for archive in archives:
                if archive.name not in members:
                    members[archive.name] = read_members(archive, config.archives[archive.name])
            files = _files(spec, config, members, small)
            progress(f"landing {spec.source}/{spec.delivery}: {len(files)} files, {_megabytes(files)} MB")
            origin = origin_text(fingerprint, archives, spec.licence_basis)
            land(home / "landing", _promise(spec, config, archives), files, origin)
        landed.append(Landed(spec.source, spec.delivery, folder, due))
    return tuple(landed)


def _files(spec: Delivery, config: SampleConfig, members: Members, small: bool) -> dict[str, bytes]:
    limit = _limit(spec, small)
    if isinstance(spec, Recrawl):
        earlier = _earlier(spec, config)
        return recrawl(spec, earlier, members, limit, _limit(earlier, small))
    recipes: dict[type, Callable[..., dict[str, bytes]]] = {
        Pages: pages,
        ParallelPairs: parallel_pairs,
        Originals: originals,
        Novel: novel,
        ManPages: man_pages,
        Fortunes: fortunes,
        SourceTree: source_tree,
        Faq: faq,
    }
    return recipes.get(type(spec), wiki_dump)(spec, members, limit)


def _limit(spec: Delivery, small: bool) -> int | None:
    return spec.small if small else spec.max_items


def _earlier(spec: Recrawl, config: SampleConfig) -> Pages:
    (earlier,) = (
        one for one in config.deliveries if (one.source, one.delivery) == (spec.source, spec.earlier)
    )
    if not isinstance(earlier, Pages):
        raise TypeError(f"{spec.earlier} is not a crawl")
    return earlier


def _fingerprint(spec: Delivery, config: SampleConfig, archives: list[Fetched], small: bool) -> str:
    specs = [spec, _earlier(spec, config)] if isinstance(spec, Recrawl) else [spec]
    parts: list[object] = [
        *(one.model_dump(mode="json", exclude={"small", "max_items"}) for one in specs),
        *(_limit(one, small) for one in specs),
        [list(config.allows), config.licence(spec)],
        *([one.name, one.version, one.sha256] for one in archives),
        *(config.archives[one.name].model_dump(mode="json") for one in archives),
    ]
    return digest(KERNEL_VERSION, parts)


def _promise(spec: Delivery, config: SampleConfig, archives: list[Fetched]) -> DeliveryManifest:
    packages = ", ".join(f"{one.name} {one.version}" for one in archives)
    return DeliveryManifest(
        source=spec.source,
        delivery=spec.delivery,
        vendor=f"{spec.vendor} ({packages})"[:_VENDOR_LENGTH],
        licence=Licence(id=config.licence(spec), allows=tuple(Use(use) for use in config.allows)),
        received=spec.received,
        format=spec.format,
        files=(),
    )


def _megabytes(files: dict[str, bytes]) -> str:
    return f"{sum(map(len, files.values())) / 1e6:.1f}"
