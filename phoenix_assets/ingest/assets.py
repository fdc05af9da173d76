"""`<source>/raw` registers and verifies a delivery's files; `<source>/extracted` reads them into documents."""

from functools import partial
from typing import TYPE_CHECKING

import dagster as dg

from phoenix_assets.config import config_dir, load
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.schema import DOCUMENT
from phoenix_assets.sources import Source
from resources.arrivals import MANIFEST
from resources.build import Build
from resources.conservation import conservation
from resources.declare import Automation, declared, deliveries
from resources.phoenix import Phoenix
from resources.report import materialized
from resources.shard_work import shard_work

if TYPE_CHECKING:
    from phoenix_assets.ingest.extract import DeliveredFile

_READERS = tuple(
    f"phoenix_assets.ingest.{name}"
    for name in (
        "extract", "readers", "warc", "html", "epub", "pdf", "wikidump", "wikitext", "source_code", "jsonl",
        "templates", "plain", "parallel", "markup", "encoding", "streams", "archives", "xml_stream",
    )
)  # fmt: skip


def ingest_assets(name: str, source: Source) -> list[dg.AssetsDefinition]:
    """Return the first two assets of a source's chain."""
    return [_raw(name, source), _extracted(name, source)]


def _raw(name: str, source: Source) -> dg.AssetsDefinition:
    @dg.asset(
        **declared(
            f"{name}/raw",
            room="ingest",
            kernels=("phoenix_assets.ingest.register",),
            config={},
            partitions=deliveries(name),
            automation=Automation.ON_REQUEST,  # the landing sensor asks for it
            kinds=("deltalake", "file"),
            conserves_rows=True,
            description=f"The files of a delivery, checked against its manifest. {source.description}",
        )
    )
    def raw(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.ingest.delivery import manifest_sha256, read_manifest
        from phoenix_assets.ingest.register import RAW_FILE, licence_terms, register

        folder = phoenix.landing / name / context.partition_key
        build = phoenix.start(context, config={MANIFEST: manifest_sha256(folder)})
        manifest = read_manifest(folder)
        work = shard_work(build, partial(register, folder))
        stored = build.commit_shards(RAW_FILE, [work(manifest)], licences=(licence_terms(manifest),))
        files = phoenix.lake.read(stored.as_input()).collect()
        return materialized(stored, sample=files, checks=[conservation(build, stored)])

    return raw


def _extracted(name: str, source: Source) -> dg.AssetsDefinition:
    limits = load(ReaderLimits, config_dir() / "reader_limits.yaml")
    config = {"reader_limits": limits.model_dump(mode="json"), "formats": list(source.formats)}

    @dg.asset(
        **declared(
            f"{name}/extracted",
            room="ingest",
            kernels=_READERS,
            config=config,
            deps=[f"{name}/raw"],
            partitions=deliveries(name),
            conserves_rows=True,
            description="Documents read out of the delivered files; what cannot be read is in quarantine.",
        )
    )
    def extracted(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.ingest.extract import Extract, shards

        build = phoenix.start(context, config=config, same=[f"{name}/raw"])
        work = shard_work(build, Extract(limits))
        files = shards(_delivered(build, phoenix), limits.shard_bytes)
        stored = build.commit_shards(DOCUMENT, phoenix.engine.map(work, files))
        sample = phoenix.lake.read(stored.as_input()).select("locator", "title", "text").head(5).collect()
        return materialized(stored, sample=sample, checks=[conservation(build, stored)])

    return extracted


def _delivered(build: Build, phoenix: Phoenix) -> list["DeliveredFile"]:
    from phoenix_assets.ingest.extract import DeliveredFile

    (raw,) = build.inputs
    folder = phoenix.landing / raw.asset.partition("/")[0] / raw.partition
    rows = phoenix.lake.read(raw).sort("file").collect()
    return [
        DeliveredFile(
            source=row["source"],
            delivery=row["delivery"],
            file=row["file"],
            path=folder / row["file"],
            format=row["format"],
            bytes=row["bytes"],
            sha256=row["sha256"],
        )
        for row in rows.iter_rows(named=True)
    ]
