"""`dedup/<group>/index` decides over all sources of a group; `<source>/deduped` keeps what it decided to keep.

The index's DataVersion changes only when an *earlier* decision is revised: a new delivery adds decisions and changes
none, so the deliveries that were there before stay fresh.
"""

from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from phoenix_assets.config import config_dir, digest, load
from phoenix_assets.content_hash import content_hash
from phoenix_assets.dedup.config import DedupConfig
from phoenix_assets.sources import load_sources
from resources.build import Build
from resources.conservation import conservation
from resources.declare import declared, deliveries
from resources.phoenix import Phoenix
from resources.report import materialized
from resources.shard_work import OnFrame, OnFrameWith, shard_work

_SIGNATURES = tuple(f"phoenix_assets.dedup.{name}" for name in ("stages", "shingles", "minhash", "exact"))
_DECISIONS = tuple(
    f"phoenix_assets.dedup.{name}" for name in ("stages", "lsh", "components", "decide", "duplicates")
)


def load_dedup() -> DedupConfig:
    """Return `config/dedup.yaml`, completed by the sources that it does not name."""
    return load(DedupConfig, config_dir() / "dedup.yaml").covering(load_sources())


def index_key(group: str) -> str:
    """Return the asset path of a group's index."""
    return f"dedup/{group}/index"


def index_assets() -> list[dg.AssetsDefinition]:
    """Return the index of every dedup group."""
    dedup = load_dedup()
    return [_index(group, dedup) for group in dedup.groups]


def dedup_assets(name: str) -> list[dg.AssetsDefinition]:
    """Return the deduplication assets of a source's chain."""
    dedup = load_dedup()
    return [_signatures(name, dedup), _deduped(name, index_key(dedup.group_of(name)))]


def _signatures(name: str, dedup: DedupConfig) -> dg.AssetsDefinition:
    config = {"signature": dedup.signature.model_dump(mode="json")}
    upstream = f"{name}/filtered"

    @dg.asset(
        **declared(
            f"{name}/signatures",
            room="dedup",
            kernels=_SIGNATURES,
            config=config,
            deps=[upstream, f"{name}/raw"],
            partitions=deliveries(name),
            kinds=("deltalake", "numba"),
            description="MinHash signature and exact hash of every document: what the dedup index compares.",
        )
    )
    def signatures(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.dedup.stages import SIGNATURES, signature_rows

        build = phoenix.start(context, config=config, same=[upstream, f"{name}/raw"])
        received = date.fromisoformat(
            str(build.read(f"{name}/raw").select("received").first().collect().item())
        )
        kernel = OnFrame(partial(signature_rows, received=received, signature=dedup.signature))
        outputs = phoenix.engine.map(shard_work(build, kernel), build.shards(upstream))
        files = [file for output in outputs for file in output.documents]
        stored = build.commit(SIGNATURES, files, counts={"rows_out": sum(file.rows for file in files)})
        return materialized(stored)

    return signatures


def _index(name: str, dedup: DedupConfig) -> dg.AssetsDefinition:
    group = dedup.groups[name]
    ranks = {source: dedup.source_rank(source) for source in group.sources}
    config = {
        "signature": dedup.signature.model_dump(mode="json"),
        "group": group.model_dump(mode="json"),
        "ranks": dict(ranks),
    }
    upstream = [f"{source}/signatures" for source in group.sources]

    @dg.asset(
        **declared(
            index_key(name),
            room="dedup",
            kernels=_DECISIONS,
            config=config,
            deps=upstream,
            kinds=("deltalake", "numba"),
            description=f"Which documents of {', '.join(group.sources)} are duplicates, and of which survivor.",
            pool=f"dedup_{name}",
        )
    )
    def index(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.dedup.stages import INDEX, SIGNATURES, decide_index, with_earlier_decisions

        build = phoenix.start(context, config=config, all_of=upstream)
        signatures = build.read_all(upstream).select(SIGNATURES.names()).collect()
        earlier_version, earlier = _earlier(build)
        rows = with_earlier_decisions(signatures, earlier, ranks)
        decided = decide_index(rows, group, dedup.signature)
        counts = {"rows_out": decided.height, "duplicates": int(decided["kept"].not_().sum())}
        stored = build.commit(
            INDEX,
            [build.stage(decided)],
            counts=counts,
            data_version=_data_version(config, earlier_version, earlier, decided),
        )
        return materialized(stored, pictures=_pictures(name, decided), sample=_sample(decided))

    return index


def _earlier(build: Build) -> tuple[str, pl.DataFrame]:
    """Return the index version whose decisions stand, and its rows: the newest, if this code and configuration made it.

    The version becomes an input of the build. A changed kernel or configuration decides everything anew.
    """
    from phoenix_assets.dedup.stages import INDEX

    stored = build.ledger.head(build.asset)
    if stored is None or stored.record.code_version != build.code_version:
        return "", pl.DataFrame(schema=INDEX)
    build.inputs = (*build.inputs, stored.as_input())
    return stored.record.data_version, build.read(build.asset).collect()


def _data_version(
    config: Mapping[str, Any], version: str, earlier: pl.DataFrame, decided: pl.DataFrame
) -> str:
    from phoenix_assets.dedup.stages import revisions

    if not version:
        return f"{digest(config)}-first"
    revised = revisions(earlier, decided)
    return f"{digest(version)}-{content_hash(revised).data_version}" if revised.height else version


def _pictures(name: str, decided: pl.DataFrame) -> dict[str, bytes]:
    from phoenix_assets.figures import bars

    kinds = decided.drop_nulls("kind").group_by("source", "kind").len().sort("source", "kind")
    dropped = {f"{source}: {kind}": float(count) for source, kind, count in kinds.iter_rows()}
    sizes = (
        decided.drop_nulls("duplicate_of").group_by("duplicate_of").len()["len"].value_counts().sort("len")
    )
    clusters = {f"{size + 1} copies": float(count) for size, count in sizes.head(12).iter_rows()}
    return {
        "duplicates": bars(dropped, title=f"dedup group {name}: duplicates dropped", unit="documents"),
        "cluster_sizes": bars(clusters, title=f"dedup group {name}: clusters by size", unit="clusters"),
    }


def _sample(decided: pl.DataFrame) -> pl.DataFrame:
    """Return the survivors with most duplicates, and where their twins came from."""
    return (
        decided.drop_nulls("duplicate_of")
        .group_by("duplicate_of")
        .agg(copies=pl.len() + 1, also_in=pl.col("delivery").unique().sort().str.join(", "))
        .sort("copies", "duplicate_of", descending=[True, False])
        .head(5)
    )


def _deduped(name: str, index: str) -> dg.AssetsDefinition:
    upstream = f"{name}/filtered"

    @dg.asset(
        **declared(
            f"{name}/deduped",
            room="dedup",
            kernels=("phoenix_assets.dedup.stages",),
            config={},
            deps=[upstream, index],
            partitions=deliveries(name),
            kinds=("deltalake", "polars"),
            conserves_rows=True,
            description="Documents without the copies that the group's index dropped.",
        )
    )
    def deduped(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.dedup.stages import drop_duplicates

        build = phoenix.start(context, config={}, same=[upstream, index])
        kernel = OnFrameWith(
            drop_duplicates,
            phoenix.path,
            build.input(index),
            (("source", name), ("delivery", build.partition)),
        )
        outputs = phoenix.engine.map(shard_work(build, kernel), build.shards(upstream))
        stored = build.commit_shards(build.schema(upstream), outputs)
        return materialized(stored, checks=[conservation(build, stored, upstream=[upstream])])

    return deduped
