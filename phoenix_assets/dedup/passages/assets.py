"""`<source>/{paragraphs,sentences}` are what a group compares in `dedup/<group>/{paragraphs,sentences}`.

`<source>/trimmed` is its documents without boilerplate and without the passages that the group has elsewhere. Sentences
are cut from what the decisions on paragraphs have left.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import dagster as dg
import polars as pl

from phoenix_assets.dedup.assets import INDEX_KERNELS, ORIGIN, REBUILD, index_key, made_of_shards, received
from phoenix_assets.dedup.config import DedupConfig
from phoenix_assets.dedup.passages.config import Passage
from phoenix_assets.schema import StageOutput
from resources.build import Build
from resources.conservation import conservation
from resources.declare import declared, deliveries
from resources.phoenix import Phoenix
from resources.report import materialized
from resources.shard_work import OnFrame, OnFrameWith, shard_work

_CUTTING = (
    *(
        f"phoenix_assets.dedup.passages.{name}"
        for name in ("trimming", "cutting", "split", "joining", "boilerplate", "prints")
    ),
    "phoenix_assets.dedup.shingles",
)
_DECIDING = (
    *INDEX_KERNELS,
    *(
        f"phoenix_assets.dedup.passages.{name}"
        for name in ("trimming", "prints", "settle", "index", "update", "restore")
    ),
)


def passage_assets(name: str, dedup: DedupConfig) -> list[dg.AssetsDefinition]:
    """Return the assets of a source's chain that have to do with passages."""
    return [*(_prints(name, passage, dedup) for passage in Passage), _trimmed(name, dedup)]


def passage_index_assets(dedup: DedupConfig) -> list[dg.AssetsDefinition]:
    """Return the decisions of every dedup group on its paragraphs and sentences."""
    return [_index(group, passage, dedup) for group in dedup.groups for passage in Passage]


def _prints(name: str, passage: Passage, dedup: DedupConfig) -> dg.AssetsDefinition:
    rules = dedup.passage_rules(name)
    config = {**rules.settings(passage), "quality": dedup.quality.model_dump(mode="json")}
    upstream = f"{name}/deduped"
    before = [index_key(dedup.group_of(name), level) for level in passage.before]

    @dg.asset(
        **declared(
            f"{name}/{passage.value}",
            room="dedup",
            kernels=_CUTTING,
            config=config,
            deps=[upstream, f"{name}/raw", *before],
            partitions=deliveries(name),
            kinds=("deltalake", "numba"),
            description=f"Hashes of the {passage.value} of every document.",
        )
    )
    def prints(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.dedup.passages.trimming import PASSAGE_PRINTS, passage_rows

        build = phoenix.start(context, config=config, same=[upstream, f"{name}/raw", *before])
        day = received(build, name)
        rows = partial(passage_rows, passage=passage, received=day, rules=rules, quality=dedup.quality)
        kernel = _beside_decisions(rows, build, name, before) if before else OnFrame(rows)
        return made_of_shards(phoenix, build, upstream, kernel, PASSAGE_PRINTS)

    return prints


def _index(name: str, passage: Passage, dedup: DedupConfig) -> dg.AssetsDefinition:
    sources = dedup.groups[name].sources
    max_share = dedup.passage_rules(sources[0]).max_share(passage)
    config = {
        "max_share": max_share,
        "ranks": {source: dedup.source_rank(source) for source in sources},
        "segment_passages": dedup.passages.segment_passages,
    }
    upstream = [f"{source}/{passage.value}" for source in sources]

    @dg.asset(
        **declared(
            index_key(name, passage),
            room="dedup",
            kernels=_DECIDING,
            config=config,
            deps=upstream,
            kinds=("deltalake", "numba"),
            description=f"Which {passage.value} of {', '.join(sources)} are duplicates, and of which document's.",
            pool=f"dedup_{name}",
        )
    )
    def index(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.dedup.levels import PassageLevel
        from resources.dedup_index import decide
        from resources.duplicated_passages import DuplicatedPassages
        from resources.engine import default_workers

        start = partial(phoenix.start, context, config=config, all_of=upstream, partitioned_by=ORIGIN)
        with phoenix.lake.scratch() as folder:
            decided = decide(
                start,
                PassageLevel(passage, max_share, dedup.passages),
                dedup,
                Path(folder),
                before=None,
                threads=phoenix.workers or default_workers(),
                anew=REBUILD in context.run.tags,
                warn=context.log.warning,
            )
        found = DuplicatedPassages(phoenix.lake, phoenix.ledger, decided.stored, passage, dedup)
        return materialized(
            decided.stored,
            pictures=_pictures(decided.stored.record.asset, found.rows),
            sample=found.most_copied(),
            extra=found.totals(),
        )

    return index


def _trimmed(name: str, dedup: DedupConfig) -> dg.AssetsDefinition:
    rules = dedup.passage_rules(name)
    config = {**rules.settings(Passage.SENTENCE), "max_share": rules.max_share(Passage.PARAGRAPH)}
    upstream = f"{name}/deduped"
    indexes = [index_key(dedup.group_of(name), passage) for passage in Passage]

    @dg.asset(
        **declared(
            f"{name}/trimmed",
            room="dedup",
            kernels=_CUTTING,
            config=config,
            deps=[upstream, *indexes],
            partitions=deliveries(name),
            kinds=("deltalake", "numba"),
            conserves_rows=True,
            description="Documents without boilerplate, and without paragraphs and sentences that the group has already.",
        )
    )
    def trimmed(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.dedup.passages.trimming import drop_passages

        build = phoenix.start(context, config=config, same=[upstream, *indexes])
        kernel = _beside_decisions(partial(drop_passages, rules=rules), build, name, indexes)
        outputs = phoenix.engine.map(shard_work(build, kernel), build.shards(upstream))
        stored = build.commit_shards(build.schema(upstream), outputs)
        return materialized(stored, checks=[conservation(build, stored, upstream=[upstream])])

    return trimmed


def _beside_decisions(
    kernel: Callable[[pl.DataFrame, pl.DataFrame], StageOutput], build: Build, source: str, indexes: list[str]
) -> OnFrameWith:
    """Return a kernel over shards that gets the decisions of `indexes` on the partition beside each."""
    from resources.dedup_index import origin

    decisions = tuple(build.input(index) for index in indexes)
    return OnFrameWith(kernel, build.lake.home, decisions, ((ORIGIN, origin(source, build.partition)),))


def _pictures(asset: str, rows: pl.LazyFrame) -> dict[str, bytes]:
    from phoenix_assets import figures
    from phoenix_assets.histogram import histograms

    duplicated = rows.group_by("source").agg(pl.col("duplicated").list.len().sum()).collect().sort("source")
    shares = histograms(rows.filter(pl.col("similarity") > 0), {"share": pl.col("similarity")})
    return {
        "duplicates": figures.bars(
            dict(duplicated.iter_rows()), title=f"{asset}: duplicates by source", unit="passages"
        ),
        "shares": figures.histograms(
            shares, {}, title=f"{asset}: share of a document's letters in duplicates, of those that have any"
        ),
    }
