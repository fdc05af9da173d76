"""What a materialisation shows in Dagster: counts, reasons, inputs, pictures and a sample of rows."""

import base64
from collections.abc import Iterable, Mapping

import dagster as dg
import polars as pl

from phoenix_assets.config import digest
from phoenix_assets.lineage import StoredRecord
from phoenix_assets.visible import in_markdown

_SAMPLE_ROWS = 20
_SAMPLE_CHARS = 160


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """Return a PNG as metadata that the UI renders in place."""
    return dg.MetadataValue.md(f"![](data:image/png;base64,{base64.b64encode(png).decode()})")


def sample_table(frame: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """Return a small frame as a Markdown table, long values cut; of a large one the first rows."""
    head = frame.head(_SAMPLE_ROWS)
    lines = [f"| {' | '.join(head.columns)} |", f"|{'---|' * head.width}"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in head.iter_rows()]
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    text = text if len(text) <= _SAMPLE_CHARS else f"{text[:_SAMPLE_CHARS]}…"
    return in_markdown(text)


def materialized(
    stored: StoredRecord,
    *,
    pictures: Mapping[str, bytes] | None = None,
    sample: pl.DataFrame | None = None,
    checks: Iterable[dg.AssetCheckResult] = (),
    extra: Mapping[str, dg.MetadataValue | str | int | float] | None = None,
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Return the result of a committed build: its DataVersion is the content hash of the lake's rows."""
    record = stored.record
    metadata: dict[str, dg.MetadataValue | str | int | float] = {**record.counts, **(extra or {})}
    if record.reasons:
        metadata["drop_reasons"] = sample_table(
            pl.DataFrame({"drop_reason": list(record.reasons), "documents": list(record.reasons.values())})
        )
    for name, png in (pictures or {}).items():
        metadata[name] = picture(png)
    if sample is not None and sample.height:
        metadata["sample"] = sample_table(sample)
    metadata |= {  # last: what people look at least
        "dagster/row_count": record.counts.get("rows_out", 0),
        "phoenix/storage_version": stored.storage_version,
        "phoenix/record_id": record.record_id,
        "phoenix/inputs": len(record.inputs),
        "phoenix/inputs_digest": digest([source.model_dump(mode="json") for source in record.inputs]),
    }
    return dg.MaterializeResult(
        metadata=metadata,
        data_version=dg.DataVersion(record.data_version),
        check_results=list(checks),
    )
