"""Our reader of WARC files: from compressed records to the main text of their pages."""

from pathlib import Path
from typing import Any

from bench.token_f1 import mean_token_f1


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Load the limits, compile the kernels."""
    from phoenix_assets.ingest.config import reader_limits

    state = {"path": Path(params["warc"]), "limits": reader_limits(), "params": params}
    run(state)
    return state


def run(state: dict[str, Any]) -> list[Any]:
    """Return what the reader yields."""
    from phoenix_assets.ingest.readers import read_file

    return list(read_file(state["path"], "warc", state["limits"]))


def report(state: dict[str, Any], result: list[Any]) -> dict[str, Any]:
    """Return how many pages were read, and how well."""
    from phoenix_assets.ingest.records import Record

    texts = {record.url: record.text for record in result if isinstance(record, Record)}
    params = state["params"]
    return {"documents": len(result), "token_f1": mean_token_f1(params["gold"], texts, params["lang"])}
