"""OpenLineage events of a materialisation, made from its lineage record: https://openlineage.io/spec/2-0-2/OpenLineage.json.

A record is a run, its asset the job, each asset partition a dataset (`qa/tagged/delivery=faq-2024`, a symlink to its
table) at a version. All inputs are there, at exactly the versions that were read.
"""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    RunFacet,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    data_quality_metrics_dataset,
    data_quality_metrics_input_dataset,
    dataset_type_dataset,
    dataset_version_dataset,
    documentation_dataset,
    documentation_job,
    job_type_job,
    output_statistics_output_dataset,
    ownership_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    storage_dataset,
    symlinks_dataset,
    tags_dataset,
)

from phoenix_assets.audit.column_lineage import Origin, column_origins, row_origins
from phoenix_assets.lineage import InputVersion, LineageRecord, StoredRecord

KERNEL_VERSION: Final = "1"
CONSERVED: Final = "rows_are_conserved"
_STORED_BYTES: Final = "stored_bytes"


@dataclass(frozen=True)
class Described:
    """What the graph says of an asset."""

    description: str = ""
    owners: Sequence[str] = ()


@dataclass(frozen=True)
class Tables:
    """What a record's event says of the tables beside the record: columns with their types, by asset."""

    namespace: str
    version: str  # of this program
    columns: Mapping[str, Mapping[str, str]]
    described: Mapping[str, Described]


def dataset_name(asset: str, partition: str) -> str:
    """Return the name of an asset partition as a dataset."""
    return f"{asset}/delivery={partition}" if partition else asset


def events(stored: StoredRecord, inputs: Sequence[StoredRecord], tables: Tables) -> list[RunEvent]:
    """Return START and COMPLETE of the run that made `stored` from `inputs`, which are the records behind its inputs."""
    record = stored.record
    job = Job(namespace=tables.namespace, name=record.asset, facets=_job_facets(record.asset, tables))
    run = Run(runId=str(uuid.UUID(record.record_id)), facets=_run_facets(record, tables))
    producer = f"urn:phoenix-assets:{tables.version}"
    start = RunEvent(eventType=RunState.START, eventTime=record.started, run=run, job=job, producer=producer)
    complete = RunEvent(
        eventType=RunState.COMPLETE,
        eventTime=record.finished,
        run=run,
        job=job,
        producer=producer,
        inputs=[
            _input(reference, behind, tables) for reference, behind in zip(record.inputs, inputs, strict=True)
        ],
        outputs=[_output(record, tables)],
    )
    return [start, complete]


def _run_facets(record: LineageRecord, tables: Tables) -> dict[str, RunFacet]:
    facets: dict[str, RunFacet] = {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            version=record.code_version, name="phoenix", openlineageAdapterVersion=tables.version
        )
    }
    try:
        parent = str(uuid.UUID(record.run_id))
    except ValueError:  # made outside Dagster
        return facets
    facets["parent"] = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=parent), job=parent_run.Job(namespace=tables.namespace, name="dagster")
    )
    return facets


def _job_facets(asset: str, tables: Tables) -> dict[str, JobFacet]:
    facets: dict[str, JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="PHOENIX", jobType="ASSET"
        )
    }
    if described := tables.described.get(asset):
        facets["documentation"] = documentation_job.DocumentationJobFacet(description=described.description)
    return facets


def _input(reference: InputVersion, behind: StoredRecord, tables: Tables) -> InputDataset:
    record = behind.record
    return InputDataset(
        namespace=tables.namespace,
        name=dataset_name(reference.asset, reference.partition),
        facets={
            "version": dataset_version_dataset.DatasetVersionDatasetFacet(
                datasetVersion=reference.data_version
            ),
            "symlinks": _table(reference.asset, tables),
        },
        inputFacets={
            "dataQualityMetrics": data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
                columnMetrics={}, rowCount=_rows(record), bytes=record.counts.get(_STORED_BYTES)
            ),
            "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
                assertions=_assertions(record)
            ),
        },
    )


def _output(record: LineageRecord, tables: Tables) -> OutputDataset:
    columns = tables.columns.get(record.asset, {})
    facets: dict[str, DatasetFacet] = {
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=record.data_version),
        "schema": schema_dataset.SchemaDatasetFacet(
            fields=[
                schema_dataset.SchemaDatasetFacetFields(name=name, type=kind, ordinal_position=place)
                for place, (name, kind) in enumerate(columns.items(), 1)
            ]
        ),
        "columnLineage": _column_lineage(record, tables),
        "dataQualityMetrics": data_quality_metrics_dataset.DataQualityMetricsDatasetFacet(
            columnMetrics={},
            rowCount=_rows(record),
            bytes=record.counts.get(_STORED_BYTES),
            captureDate=record.finished,
        ),
        "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet(datasetType="TABLE"),
        "storage": storage_dataset.StorageDatasetFacet(storageLayer="delta", fileFormat="parquet"),
        "symlinks": _table(record.asset, tables),
        "tags": tags_dataset.TagsDatasetFacet(tags=_tags(record)),
    }
    if described := tables.described.get(record.asset):
        facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(
            description=described.description
        )
        facets["ownership"] = ownership_dataset.OwnershipDatasetFacet(
            owners=[ownership_dataset.Owner(name=owner) for owner in described.owners]
        )
    return OutputDataset(
        namespace=tables.namespace,
        name=dataset_name(record.asset, record.partition),
        facets=facets,
        outputFacets={
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=_rows(record), size=record.counts.get(_STORED_BYTES)
            )
        },
    )


def _column_lineage(
    record: LineageRecord, tables: Tables
) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    """Return what columns are made of. Of an asset that is read in many partitions, the table stands for all of them."""
    times = Counter(source.asset for source in record.inputs)
    datasets = {
        source.asset: dataset_name(source.asset, source.partition if times[source.asset] == 1 else "")
        for source in record.inputs
    }
    inputs = {asset: list(tables.columns.get(asset, {})) for asset in datasets}
    stage = "mix" if record.asset.startswith("mix/") else record.asset.rpartition("/")[2]

    def fields(origins: list[Origin], kind: str) -> list[column_lineage_dataset.InputField]:
        return [
            column_lineage_dataset.InputField(
                namespace=tables.namespace,
                name=datasets[origin.input],
                field=origin.column,
                transformations=[
                    column_lineage_dataset.Transformation(
                        type="DIRECT" if kind == "column" else "INDIRECT",
                        subtype=("IDENTITY" if origin.unchanged else "TRANSFORMATION")
                        if kind == "column"
                        else "FILTER",
                    )
                ],
            )
            for origin in origins
        ]

    made = column_origins(stage, list(tables.columns.get(record.asset, {})), inputs)
    return column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            name: column_lineage_dataset.Fields(inputFields=fields(origins, "column"))
            for name, origins in made.items()
            if origins
        },
        dataset=fields(row_origins(stage, inputs), "rows"),
    )


def _assertions(record: LineageRecord) -> list[data_quality_assertions_dataset.Assertion]:
    """Return that no row was lost, which every record of a stage that drops rows proves."""
    if "rows_dropped" not in record.counts:
        return []
    counts = record.counts
    return [
        data_quality_assertions_dataset.Assertion(
            assertion=CONSERVED,
            success=counts["rows_in"] == counts["rows_out"] + counts["rows_dropped"],
            expected=str(counts["rows_in"]),
            actual=f"{counts['rows_out']} kept, {counts['rows_dropped']} dropped",
        )
    ]


def _tags(record: LineageRecord) -> list[tags_dataset.TagsDatasetFacetFields]:
    licences = sorted({term.licence for term in record.licences})
    tags = [("licence", licence, "delivery.yaml") for licence in licences]
    tags += [("partition", record.partition, "phoenix")] if record.partition else []
    tags += [(f"dropped/{reason}", str(documents), "phoenix") for reason, documents in record.reasons.items()]
    return [
        tags_dataset.TagsDatasetFacetFields(key=key, value=value, source=source)
        for key, value, source in tags
    ]


def _table(asset: str, tables: Tables) -> symlinks_dataset.SymlinksDatasetFacet:
    return symlinks_dataset.SymlinksDatasetFacet(
        identifiers=[symlinks_dataset.Identifier(namespace=tables.namespace, name=asset, type="TABLE")]
    )


def _rows(record: LineageRecord) -> int | None:
    return record.counts.get("rows_out")
