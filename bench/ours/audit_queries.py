"""Every audit query once, each as a new process asks it: nothing of the ledger in memory, hashes not recomputed."""

import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from bench.ours.audit_document import prepare

__all__ = ["prepare", "report", "run"]


def run(state: dict[str, Any]) -> dict[str, list[float]]:
    """Return CPU and wall seconds of each query."""
    return {name: _timed(query) for name, query in _queries(state).items()}


def report(state: dict[str, Any], result: dict[str, list[float]]) -> dict[str, Any]:
    """Return the seconds."""
    return {"documents": 1, "seconds": result}


def _queries(state: dict[str, Any]) -> dict[str, Callable[[], object]]:
    from phoenix_assets.audit.diff import audit_diff
    from phoenix_assets.audit.document import audit_document
    from phoenix_assets.audit.downstream import audit_delivery, audit_file
    from phoenix_assets.audit.licences import audit_licences
    from phoenix_assets.audit.upstream import audit_checkpoint, audit_dataset, audit_mixture
    from phoenix_assets.audit.whereabouts import why_not_url
    from resources.ledger import LineageLedger

    lake = state["lake"]
    found = audit_document(lake, state["ledger"], state["doc_ids"][0])
    delivery = f"{found['source']}/{found['delivery']}"
    file = f"{delivery}/{found['locator'].partition('#')[0]}"

    def asked(audit: Callable[..., object], *what: Any, **how: Any) -> Callable[[], object]:
        return lambda: audit(lake, LineageLedger(lake), *what, **how)

    return {
        "checkpoint": asked(audit_checkpoint, "demo", verified=False),
        "mixture": asked(audit_mixture, "v3", verified=False),
        "dataset": asked(audit_dataset, "cc/tagged", verified=False),
        "delivery": asked(audit_delivery, delivery, verified=False),
        "file": asked(audit_file, file, verified=False),
        "document": asked(audit_document, state["doc_ids"][1]),
        "diff": asked(audit_diff, "demo", "demo", verified=False),
        "why-not": asked(why_not_url, "https://example.org/4/77"),
        "licences": asked(audit_licences, date(2026, 1, 10), timedelta(days=10), verified=False),
    }


def _timed(query: Callable[[], object]) -> list[float]:
    cpu, wall = time.process_time(), time.perf_counter()
    query()
    return [round(time.process_time() - cpu, 3), round(time.perf_counter() - wall, 3)]
