"""Our filtered stage: documents in; the kept ones, and a ledger row for each, out."""

from pathlib import Path
from typing import Any

from bench.documents import read_texts


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents, load models and word lists, compile the kernels."""
    import polars as pl

    from phoenix_assets.clean.funnel import FunnelModels
    from phoenix_assets.clean.profiles import load_profile
    from phoenix_assets.schema import DOCUMENT

    texts = read_texts(params["documents"], params["lang"])
    columns = {name: [""] * len(texts) for name in DOCUMENT} | {
        "doc_id": [f"{number:032x}" for number in range(len(texts))],
        "text": texts,
    }
    kenlm = {lang: Path(path) for lang, path in params["kenlm"].items()}
    state = {
        "documents": pl.DataFrame(columns, schema=DOCUMENT),
        "profile": load_profile("default"),
        "models": FunnelModels.of(Path(params["lid"]), kenlm),
    }
    run({**state, "documents": state["documents"].head(10)})
    return state


def run(state: dict[str, Any]) -> Any:
    """Return the stage's output."""
    from phoenix_assets.clean.stages import filter_documents

    return filter_documents(state["documents"], state["profile"], state["models"])


def report(state: dict[str, Any], result: Any) -> dict[str, Any]:
    """Return how many documents were judged and the share kept."""
    return {"documents": result.ledger.height, "kept": result.documents.height / result.ledger.height}
