"""`dedup/<group>/{url,exact,near}` decide over all sources of a group; `<source>/deduped` keeps what they all keep.

A decision index's DataVersion changes only when an *earlier* decision is revised: a new delivery adds decisions and
changes none, so the deliveries that were there before stay fresh.
"""

from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from phoenix_assets.config import config_dir, load
from phoenix_assets.dedup.config import DedupConfig, Granularity
from phoenix_assets.dedup.passages.config import Passage
from phoenix_assets.errors import ConfigError
from phoenix_assets.sources import load_sources
from resources.build import Build
from resources.conservation import conservation
from resources.declare import declared, deliveries
from resources.phoenix import Phoenix
from resources.report import materialized
from resources.shard_work import OnFrame, OnFrameWith, shard_work

if TYPE_CHECKING:
    from resources.duplicates import Duplicates

_PRINTS = tuple(f"phoenix_assets.dedup.{name}" for name in ("stages", "shingles", "minhash", "exact", "urls"))
INDEX_KERNELS = tuple(
    f"phoenix_assets.dedup.{name}"
    for name in (
        "levels",
        "stages",
        "granularity",
        "candidates",
        "columns",
        "index",
        "segments",
        "matching",
        "settle",
        "update",
        "store",
        "restore",
        "lsh",
    )
)
REBUILD = "phoenix/rebuild_index"  # the tag of a run that decides everything anew
ORIGIN = "origin"  # the column by which decisions are partitioned: source and delivery


def load_dedup() -> DedupConfig:
    """Return `config/dedup.yaml`, completed by the sources that it does not name."""
    return load(DedupConfig, config_dir() / "dedup.yaml").covering(load_sources())


def index_key(group: str, level: Granularity | Passage) -> str:
    """Return the asset path of a group's decisions at a level."""
    return f"dedup/{group}/{level.value}"


def index_keys(group: str) -> list[str]:
    """Return the asset paths of a group's decisions, in the order in which they are made."""
    groups = load_dedup().groups
    if group not in groups:
        raise ConfigError(f"no dedup group {group!r}; there are: {', '.join(sorted(groups))}")
    return [index_key(group, level) for level in (*Granularity, *Passage)]


def index_assets(dedup: DedupConfig) -> list[dg.AssetsDefinition]:
    """Return the decisions of every dedup group at every granularity."""
    return [_index(group, granularity, dedup) for group in dedup.groups for granularity in Granularity]


def dedup_assets(name: str, dedup: DedupConfig) -> list[dg.AssetsDefinition]:
    """Return the deduplication assets of a source's chain."""
    return [_signatures(name, dedup), _deduped(name, dedup.group_of(name))]


def _signatures(name: str, dedup: DedupConfig) -> dg.AssetsDefinition:
    config = dedup.prints.model_dump(mode="json")
    upstream = f"{name}/filtered"

    @dg.asset(
        **declared(
            f"{name}/signatures",
            room="dedup",
            kernels=_PRINTS,
            config=config,
            deps=[upstream, f"{name}/raw"],
            partitions=deliveries(name),
            kinds=("deltalake", "numba"),
            description="Hash of the address, hash of the text and MinHash signature of every document.",
        )
    )
    def signatures(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.dedup.stages import SIGNATURES, signature_rows

        build = phoenix.start(context, config=config, same=[upstream, f"{name}/raw"])
        kernel = OnFrame(partial(signature_rows, received=received(build, name), config=dedup.prints))
        return made_of_shards(phoenix, build, upstream, kernel, SIGNATURES)

    return signatures


def received(build: Build, source: str) -> date:
    """Return the day on which the delivery that the build reads was received."""
    return date.fromisoformat(str(build.read(f"{source}/raw").select("received").first().collect().item()))


def made_of_shards(
    phoenix: Phoenix, build: Build, upstream: str, kernel: OnFrame | OnFrameWith, schema: pl.Schema
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Make the prints of a delivery: what `kernel` returns of each shard of `upstream`; there are no drops."""
    outputs = phoenix.engine.map(shard_work(build, kernel), build.shards(upstream))
    files = [file for output in outputs for file in output.documents]
    return materialized(build.commit(schema, files, counts={"rows_out": sum(file.rows for file in files)}))


def _index(name: str, granularity: Granularity, dedup: DedupConfig) -> dg.AssetsDefinition:
    group = dedup.groups[name]
    config = {
        "signature": dedup.signature.model_dump(mode="json"),
        "group": group.model_dump(mode="json"),
        "ranks": {source: dedup.source_rank(source) for source in group.sources},
        "index": dedup.index.model_dump(mode="json", include={"segment_documents"}),
    }
    upstream = [f"{source}/signatures" for source in group.sources]
    before = [index_key(name, granularity.before)] if granularity.before else []

    @dg.asset(
        **declared(
            index_key(name, granularity),
            room="dedup",
            kernels=INDEX_KERNELS,
            config=config,
            deps=[*upstream, *before],
            kinds=("deltalake", "numba"),
            description=f"Which documents of {', '.join(group.sources)} are duplicates by {granularity.value}, and of which.",
            pool=f"dedup_{name}",
        )
    )
    def index(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.dedup.levels import DocumentLevel
        from resources.dedup_index import decide
        from resources.duplicates import Duplicates
        from resources.engine import default_workers

        start = partial(
            phoenix.start, context, config=config, all_of=upstream, same=before, partitioned_by=ORIGIN
        )
        with phoenix.lake.scratch() as folder:
            decided = decide(
                start,
                DocumentLevel(granularity, group, dedup.signature, dedup.index),
                dedup,
                Path(folder),
                before=before[0] if before else None,
                threads=phoenix.workers or default_workers(),
                anew=REBUILD in context.run.tags,
                warn=context.log.warning,
            )
        found = Duplicates(phoenix.lake, phoenix.ledger, decided.stored)
        return materialized(
            decided.stored,
            pictures=_pictures(found.stored.record.asset, found),
            sample=_sample(found.dropped),
            extra={
                "comparison": dg.MetadataValue.path(_comparison(phoenix, found)),
                **({"damaged": decided.damage} if decided.damage else {}),
            },
        )

    return index


def _pictures(asset: str, found: "Duplicates") -> dict[str, bytes]:
    from phoenix_assets.figures import bars

    by_source = found.dropped["source"].value_counts(sort=True)
    return {
        "duplicates": bars(
            dict(by_source.iter_rows()), title=f"{asset}: duplicates dropped", unit="documents"
        ),
        "cluster_sizes": bars(found.sizes, title=f"{asset}: clusters by size", unit="clusters"),
    }


def _comparison(phoenix: Phoenix, found: "Duplicates") -> Path:
    """Write some of what was dropped beside what was kept, for people, in the place of what the version before wrote.

    It is no part of the lake: it holds texts, which must not outlive them there.
    """
    from phoenix_assets.dedup.comparison_config import load_comparisons
    from resources.duplicates import Order

    config = load_comparisons()
    path = phoenix.path / "reports" / f"{found.stored.record.asset}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(f".{found.stored.record.record_id}")  # two builds can end at the same time
    written.write_text(found.report(Order.SIMILARITY, config.report_pairs, config), "utf-8")
    return written.replace(path)


def _sample(dropped: pl.DataFrame) -> pl.DataFrame:
    """Return the survivors with most duplicates, and where their twins came from."""
    return (
        dropped.group_by("duplicate_of")
        .agg(copies=pl.len() + 1, also_in=pl.col("delivery").unique().sort().str.join(", "))
        .sort("copies", "duplicate_of", descending=[True, False])
        .head(5)
    )


def _deduped(name: str, group: str) -> dg.AssetsDefinition:
    upstream = f"{name}/filtered"
    indexes = [index_key(group, granularity) for granularity in Granularity]

    @dg.asset(
        **declared(
            f"{name}/deduped",
            room="dedup",
            kernels=("phoenix_assets.dedup.stages",),
            config={},
            deps=[upstream, *indexes],
            partitions=deliveries(name),
            kinds=("deltalake", "polars"),
            conserves_rows=True,
            description="Documents without the copies that the group's indexes dropped.",
        )
    )
    def deduped(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.dedup.stages import drop_duplicates
        from resources.dedup_index import origin

        build = phoenix.start(context, config={}, same=[upstream, *indexes])
        decisions = tuple(build.input(index) for index in indexes)
        kernel = OnFrameWith(
            drop_duplicates, phoenix.path, decisions, ((ORIGIN, origin(name, build.partition)),)
        )
        outputs = phoenix.engine.map(shard_work(build, kernel), build.shards(upstream))
        stored = build.commit_shards(build.schema(upstream), outputs)
        return materialized(stored, checks=[conservation(build, stored, upstream=[upstream])])

    return deduped
