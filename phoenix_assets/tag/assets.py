"""`<source>/tagged`: what a mixture selects by; and `models/quality`, the classifier behind the quality score."""

from dataclasses import asdict
from functools import partial
from pathlib import Path

import dagster as dg
import polars as pl

from phoenix_assets.config import config_dir, load
from phoenix_assets.sources import Source
from phoenix_assets.tag.config import TagConfig
from resources.conservation import conservation
from resources.declare import Automation, declared, deliveries
from resources.phoenix import Phoenix
from resources.report import materialized
from resources.shard_work import OnFrame, shard_work

QUALITY = "models/quality"
QUALITY_FILE = "quality.bin"


def load_tags() -> TagConfig:
    """Return `config/tags.yaml`."""
    return load(TagConfig, config_dir() / "tags.yaml")


def tag_assets(name: str, source: Source) -> list[dg.AssetsDefinition]:
    """Return the tagging asset of a source's chain."""
    tags = load_tags()
    config = {"tags": tags.model_dump(mode="json"), "kind": source.kind}
    upstream = f"{name}/trimmed"

    @dg.asset(
        **declared(
            f"{name}/tagged",
            room="tag",
            kernels=tuple(f"phoenix_assets.tag.{module}" for module in ("stages", "quality", "tags")),
            config=config,
            deps=[upstream, QUALITY],
            partitions=deliveries(name),
            kinds=("deltalake", "fasttext"),
            conserves_rows=True,
            description="Documents with quality score and tags: what a mixture selects by.",
        )
    )
    def tagged(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.tag.stages import TAGGED, tag_documents

        build = phoenix.start(context, config=config, same=[upstream, QUALITY])
        model = build.file(QUALITY, QUALITY_FILE)
        kernel = OnFrame(partial(tag_documents, config=tags, kinds={name: source.kind}, model=model))
        outputs = phoenix.engine.map(shard_work(build, kernel), build.shards(upstream))
        stored = build.commit_shards(TAGGED, outputs)
        rows = phoenix.lake.read(stored.as_input())
        return materialized(
            stored,
            pictures=_pictures(build.asset, rows),
            sample=rows.select("locator", "lang", "quality", "tags", "text").head(5).collect(),
            checks=[conservation(build, stored, upstream=[upstream])],
        )

    return [tagged]


def _pictures(asset: str, rows: pl.LazyFrame) -> dict[str, bytes]:
    from phoenix_assets import figures
    from phoenix_assets.histogram import histograms

    langs = rows.group_by("lang").len().top_k(8, by=["len", "lang"]).collect(engine="streaming")
    return {
        "languages": figures.bars(
            dict(langs.sort("len", "lang", descending=True).iter_rows()),
            title=f"{asset}: languages",
            unit="documents",
        ),
        "quality": figures.histograms(
            histograms(rows, {"quality": pl.col("quality")}), {}, title=f"{asset}: quality"
        ),
    }


def quality_assets() -> list[dg.AssetsDefinition]:
    """Return the quality classifier's asset."""
    quality = load_tags().quality
    config = {"quality": quality.model_dump(mode="json")}
    upstream = [f"{source}/filtered" for source in (*quality.positive, *quality.negative)]

    @dg.asset(
        **declared(
            QUALITY,
            room="tag",
            kernels=("phoenix_assets.tag.quality", "phoenix_assets.draw"),
            config=config,
            deps=upstream,
            automation=Automation.WHEN_MISSING,
            kinds=("fasttext",),
            description=f"A fastText classifier: {', '.join(quality.positive)} against {', '.join(quality.negative)}.",
        )
    )
    def model(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.tag.quality import sample_training, train_quality

        build = phoenix.start(context, config=config, all_of=upstream)
        documents = build.read_all(upstream).select("doc_id", "source", "lang", "text").collect()
        positives, negatives = sample_training(documents, quality)
        with phoenix.lake.scratch() as folder:
            report = train_quality(positives, negatives, quality, Path(folder) / QUALITY_FILE)
            stored = build.commit_files(Path(folder))
        return materialized(stored, extra=asdict(report))

    return [model]
