"""`<source>/downloaded` fetches deliveries, `<source>/raw` registers their files, `<source>/extracted` reads documents.

Downloading is apart from parsing: it has its own partitions (what a person asked for), its own pool and its own budget.
It puts complete deliveries into the landing folder; from there on they are like any other.
"""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import dagster as dg

from phoenix_assets.config import config_dir, load
from phoenix_assets.content_hash import content_hash
from phoenix_assets.fields import FieldMap
from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.download_config import CrawlSource, load_downloads
from phoenix_assets.lineage import InputVersion
from phoenix_assets.schema import DOCUMENT
from phoenix_assets.sources import Source
from resources.arrivals import bring, tell_of_files
from resources.build import Build
from resources.changes import changed_documents, changed_files
from resources.conservation import conservation
from resources.declare import AUTOMATION_TAG, Automation, declared, deliveries
from resources.landing_register import MANIFEST
from resources.phoenix import Phoenix
from resources.report import materialized
from resources.shard_work import shard_work
from resources.storage_budget import StorageBudget, load_storage

if TYPE_CHECKING:
    from phoenix_assets.ingest.extract import DeliveredFile

_READERS = tuple(
    f"phoenix_assets.ingest.{name}"
    for name in (
        "extract", "readers", "warc", "html", "epub", "pdf", "wikidump", "wikitext", "source_code", "jsonl",
        "structured", "record_split", "delimited", "parquet", "instruct", "tmx", "code_references", "code_exclusions",
        "dependency_order", "licences",
        "templates", "plain", "parallel", "encoding",
        "arc", "captures", "markup", "tokenizer", "tags", "keywords", "main_content", "rendering", "markdown", "mathml",
        "streams", "archives", "xml_stream", "pdf_process",
        "text_stream",
        "sniff", "chapters", "mobi", "palmdoc", "fb2", "docx", "omml", "tables", "layout", "pdf_streams", "charset", "mojibake",
    )
)  # fmt: skip

# In the configuration of a download's record: the manifest that it gave its delivery.
PUBLISHED: Final = "published_manifest_sha256"


def downloads(source: str) -> dg.DynamicPartitionsDefinition:
    """Return the deliveries of a source that somebody asked to download: one key a delivery."""
    return dg.DynamicPartitionsDefinition(name=f"{source}_downloads")


def ingest_assets(name: str, source: Source) -> list[dg.AssetsDefinition]:
    """Return the first assets of a source's chain."""
    settings = load_downloads().get(name)
    fetched = [] if settings is None else [_downloaded(name, settings)]
    return [
        *fetched,
        _raw(name, source, is_downloaded=settings is not None),
        _erased(name),
        _extracted(name, source),
    ]


def _downloaded(name: str, settings: CrawlSource) -> dg.AssetsDefinition:
    # Only what says which files a delivery holds: a faster line makes no download stale.
    config = {"listing": settings.listing, "files_per_delivery": settings.files_per_delivery}

    @dg.asset(
        **declared(
            f"{name}/downloaded",
            room="ingest",
            kernels=("phoenix_assets.ingest.crawl_listing",),
            config=config,
            partitions=downloads(name),
            automation=Automation.ON_REQUEST,
            kinds=("deltalake", "file"),
            description=f"Deliveries fetched from {settings.base_url} into the landing folder, each file checked.",
            pool="network",
        )
        | {"group_name": name}
    )
    def downloaded(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.ingest.delivery import manifest_sha256
        from phoenix_assets.ingest.download import IDENTITY, SEGMENT, download, segments_frame
        from phoenix_assets.ingest.register import licence_terms

        now = datetime.now(UTC)
        folder = phoenix.landing / name / context.partition_key
        budget = StorageBudget(phoenix.path, load_storage())
        build = phoenix.start(context, config=config)
        found = download(
            settings,
            folder,
            admit=lambda whole, place: budget.reserve(f"{name}/{folder.name}", whole, place, now),
            today=now.date(),
            report=context.log.info,
        )
        rows = segments_frame(found.segments)
        build = replace(build, config={**config, PUBLISHED: manifest_sha256(folder)})
        stored = build.commit(
            SEGMENT,
            [build.stage(rows)],
            counts={"rows_out": rows.height, **found.counts},
            licences=(licence_terms(found.manifest),),
            data_version=content_hash(rows.select(IDENTITY)).data_version,
        )
        rate = {"megabytes_per_second": round(found.megabytes_per_second, 2)}
        return materialized(stored, sample=rows, extra=rate)

    return downloaded


def _raw(name: str, source: Source, *, is_downloaded: bool) -> dg.AssetsDefinition:
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
        from phoenix_assets.ingest.delivery import manifest_bytes, manifest_identity, parse_manifest
        from phoenix_assets.ingest.register import RAW_FILE, licence_terms, register

        folder = bring(phoenix, name, context.partition_key)
        content = manifest_bytes(folder)  # once: it may be edited while we read
        manifest, registered = parse_manifest(content, name, folder.name), manifest_identity(content)
        origin = _download(phoenix, name, folder.name, registered) if is_downloaded else []
        promised = {"vendor": manifest.vendor, "received": manifest.received.isoformat()}
        build = phoenix.start(context, config={MANIFEST: registered, **promised}, inputs=origin)
        before = phoenix.ledger.head(build.asset, build.partition)
        work = shard_work(build, partial(register, folder))
        stored = build.commit_shards(RAW_FILE, [work(manifest)], licences=(licence_terms(manifest),))
        tell_of_files(phoenix, stored, manifest.received)
        changed = changed_files(phoenix.lake, before, stored)
        files = phoenix.lake.read(stored.as_input()).collect()
        return materialized(stored, sample=files, checks=[conservation(build, stored)], extra=changed)

    return raw


def _download(phoenix: Phoenix, name: str, delivery: str, manifest: str) -> list[InputVersion]:
    """Return the download that made the delivery with this manifest; nothing for one that a vendor delivered."""
    stored = phoenix.ledger.head(f"{name}/downloaded", delivery)
    return [stored.as_input()] if stored and stored.record.config.get(PUBLISHED) == manifest else []


def _erased(name: str) -> dg.AssetsDefinition:
    """Return the tombstones of a source: no run makes them, `phoenix erase` does."""
    spec = dg.AssetSpec(
        key=dg.AssetKey([name, "erased"]),
        partitions_def=deliveries(name),
        group_name=name,
        kinds={"deltalake"},
        owners=["team:pretraining-data"],
        tags={"room": "ingest", AUTOMATION_TAG: Automation.BY_NAME.value},
        description="Tombstones: what was erased of each delivery, why, by whom and when; hashes, and no text.",
    )
    return dg.AssetsDefinition(specs=[spec])


def _extracted(name: str, source: Source) -> dg.AssetsDefinition:
    limits = load(ReaderLimits, config_dir() / "reader_limits.yaml")
    config = {"reader_limits": limits.model_dump(mode="json"), "formats": list(source.formats)}
    config |= {"fields": source.fields.model_dump(mode="json")}

    @dg.asset(
        **declared(
            f"{name}/extracted",
            room="ingest",
            kernels=_READERS,
            config=config,
            deps=[f"{name}/raw", f"{name}/erased"],
            partitions=deliveries(name),
            conserves_rows=True,
            description="Documents read out of the delivered files; what cannot be read is in quarantine.",
        )
    )
    def extracted(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.ingest.extract import Extract, shards
        from resources.erasures import CarryOver, Withholding, carried_over, tombstone_inputs, tombstones

        erased = tombstone_inputs(phoenix.ledger, name, context.partition_key)
        build = phoenix.start(context, config=config, same=[f"{name}/raw"], inputs=erased)
        before = phoenix.ledger.head(build.asset, build.partition)
        rows = tombstones(build)
        carried = carried_over(build, rows, phoenix.landing / name / build.partition)
        if carried is None:
            work = shard_work(build, Withholding(Extract(limits), rows))
            files = shards(_delivered(build, phoenix, source.fields), limits.shard_bytes)
            outputs = phoenix.engine.map(work, files)
        else:
            outputs = phoenix.engine.map(shard_work(build, CarryOver(rows)), carried)
        stored = build.commit_shards(DOCUMENT, outputs)
        changed = changed_documents(phoenix.lake, before, stored)
        sample = phoenix.lake.read(stored.as_input()).select("locator", "title", "text").head(5).collect()
        return materialized(stored, sample=sample, checks=[conservation(build, stored)], extra=changed)

    return extracted


def _delivered(build: Build, phoenix: Phoenix, fields: FieldMap) -> list["DeliveredFile"]:
    from phoenix_assets.ingest.extract import DeliveredFile

    source = build.asset.partition("/")[0]
    raw = build.input(f"{source}/raw")
    folder = phoenix.landing / source / raw.partition
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
            fields=FieldMap.model_validate_json(told) if (told := row.get("fields")) else fields,
        )
        for row in rows.iter_rows(named=True)
    ]
