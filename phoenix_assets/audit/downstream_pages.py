"""Pages of what stands on a delivery or a file, of a document's fate, and of where something is that has no id yet."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phoenix_assets.audit.page import Cell, Page, Table, cells, licence_text
from phoenix_assets.bounds import bounds_text

_SCORES = ("lang", "perplexity", "bits_per_char", "recall_top1", "recall_top5")


def downstream_page(audit: Mapping[str, Any]) -> Page:
    """Return the page of a delivery or of one file of it."""
    about, kind = audit[audit["kind"]], audit["kind"]
    name = f"{about['source']}/{about['delivery']}" + (f"/{about['file']}" if kind == "file" else "")
    facts: dict[str, Cell] = {
        key.replace("_", " "): value for key, value in about.items() if not isinstance(value, list)
    }
    for term in audit["licences"]:
        facts["licence"] = f"{licence_text(term)}, for {', '.join(term['allows'])}"
    stages = [
        (
            row["asset"],
            row["documents"],
            sum(row["dropped"].values()),
            _reasons(row["dropped"]),
            row["data_version"],
        )
        for row in audit["stages"]
    ]
    mixtures = cells(
        audit["mixtures"], "mixture", "component", "split", "documents", "copies", "estimated_tokens"
    )
    made = cells(audit["made_with_it"], "asset", "partitions")
    return Page(
        title=f"{kind.capitalize()} {name}",
        facts=facts,
        tables=[
            Table("Partitions that hold it", ("dataset", "documents", "dropped", "why", "version"), stages),
            Table("Mixtures", ("mixture", "component", "split", "documents", "copies", "tokens (est.)"), mixtures),
            Table("Training runs", ("run", "documents", "tokens in shards", "tokens seen", "steps", "first", "last"), [_run(row) for row in audit["training"]]),
            Table("Checkpoints after it", ("checkpoint", "tokens seen of it", *_SCORES), list(_scores(audit["training"]))),
            Table("Made with it", ("asset", "partitions"), made, note="Compared with its documents, trained on them, or made of what was."),
            *_files(about),
        ],
        verification=audit["verification"],
    )  # fmt: skip


def document_page(audit: Mapping[str, Any]) -> Page:
    """Return the page of a document."""
    stages = [
        (row["stage"], "kept" if row["kept"] else f"DROPPED: {row['drop_reason']}", row["chars_in"], row["chars_out"], row["data_version"])
        for row in audit["stages"]
    ]  # fmt: skip
    passages = [(row["level"], row["passages"], row["doc_id"], _home(row)) for row in audit["lost_passages"]]
    mixtures = [
        (row["mixture"], "in it" if row["kept"] else row["drop_reason"], row.get("component"), row.get("split"), row.get("copies"))
        for row in audit["mixtures"]
    ]  # fmt: skip
    training = [
        (
            row["run"],
            row["copy"],
            row["shard"],
            row["token_offset"],
            row["tokens"],
            len(row["steps"]),
            _steps(row["steps"]),
        )
        for row in audit["training"]
    ]
    return Page(
        title=f"Document {audit['doc_id']}",
        story=list(fate(audit)),
        facts={
            **{name: audit[name] for name in ("locator", "url", "title") if audit[name]},
            "delivery": _home(audit),
            "licence": ", ".join(licence_text(term) for term in audit["licences"]),
        },
        tables=[
            Table("Stages", ("stage", "verdict", "characters in", "out", "version"), stages),
            Table("Rules", ("stage", "verdict", "rule", "value", "kept if"), list(_rules(audit["stages"]))),
            Table("Also present as", ("document", "delivery", "by", "similarity", "address"), [_twin(row) for row in audit["twins"]]),
            Table("Passages that others keep", ("of", "passages", "document", "delivery"), passages),
            Table("Mixtures", ("mixture", "fate", "component", "split", "copies"), mixtures),
            Table("Training", ("run", "copy", "shard", "first token", "tokens", "steps", "seen in steps"), training),
            Table("Checkpoints after it", ("checkpoint", "step", *_SCORES), list(_checkpoints(audit["training"]))),
        ],
        verification=audit["verification"],
    )  # fmt: skip


def why_not_page(found: Mapping[str, Any]) -> Page:
    """Return the page of an address or of a text."""
    asked = found["why_not"]
    name = asked.get("url") or "the text"
    quarantined = [
        (
            "/".join(part for part in (row["source"], row["delivery"], row["file"]) if part),
            row["locator"],
            row["reason"],
            row["detail"],
        )
        for row in found["quarantined"]
    ]
    alike = cells(
        found["lookalikes"], "doc_id", "group", "granularity", "similarity", "threshold", "duplicate"
    )
    return Page(
        title=f"Why (not) {name}",
        story=[*_whereabouts(found), *(line for one in found["documents"] for line in fate(one))],
        tables=[
            Table("Documents like it", ("document", "group", "by", "similarity", "duplicate from", "duplicate"), alike),
            Table("Documents from it" if "url" in asked else "What became of them", ("document", "delivery", "last stage", "verdict", "locator"), [_last(one) for one in found["documents"]]),
            Table("In quarantine", ("file", "record", "reason", "detail"), quarantined),
            *_verdict(found["verdict"]),
        ],
        verification=found["verification"],
    )  # fmt: skip


def fate(audit: Mapping[str, Any]) -> Iterator[str]:
    """Yield what became of a document, in sentences."""
    yield f"{audit['doc_id']} came with {_home(audit)}." + (
        "" if audit["current"] else " The delivery has been replaced since."
    )
    kept = [row["stage"] for row in audit["stages"] if row["kept"]]
    if kept:
        yield f"Kept by {', '.join(kept)}."
    for row in audit["stages"]:
        if not row["kept"]:
            yield f"Dropped by {row['stage']}: {row['drop_reason']}{_because(row)}."
    if audit["survivor"]:
        passages = any("paragraph" in row["drop_reason"] for row in audit["stages"] if not row["kept"])
        like = "Most of it also stands in" if passages else "It is a copy of"
        yield f"{like} {audit['survivor']['doc_id']} in {_home(audit['survivor'])}, which was kept."
    for row in audit["mixtures"]:
        how = (
            f"in component {row['component']}, split {row['split']}, {row['copies']} time(s)"
            if row["kept"]
            else f"left out: {row['drop_reason']}"
        )
        yield f"{row['mixture']}: {how}."
    for row in audit["training"]:
        seen = (
            f"seen in {len(row['steps'])} steps: {_steps(row['steps'])}"
            if row["steps"]
            else "not seen by any step so far"
        )
        yield f"{row['run']}: {seen}."


def _because(row: Mapping[str, Any]) -> str:
    rule = next((one for one in row["rules"] if one["rule"] == row["drop_reason"]), None)
    if rule is None or rule["value"] is None:
        return ""
    bounds = f", kept if {bounds_text(rule['bounds'])}" if rule["bounds"] else ""
    return f" is {rule['value']:,.6g}{bounds}"


def _whereabouts(found: Mapping[str, Any]) -> Iterator[str]:
    asked, documents = found["why_not"], found["documents"]
    if "url" in asked:
        yield (
            f"{len(documents):,} document(s) came from this address."
            if documents
            else "No delivery has a document from this address."
        )
        return
    copies = [row for row in found["lookalikes"] if row["duplicate"]]
    if copies:
        yield f"It is a copy of {len(copies):,} document(s) that deduplication has kept."
    else:
        yield "Deduplication knows no copy of it: it was never delivered, or was dropped before."
    verdict = found["verdict"]
    if verdict and verdict.get("drop_reason"):
        yield f"If it came, the filters would {'keep it' if verdict['kept'] else 'drop it: ' + verdict['drop_reason']}."


def _verdict(verdict: Mapping[str, Any] | None) -> Iterator[Table]:
    if verdict and verdict.get("rules"):
        rows = [
            (row["rule"], row["value"], bounds_text(row["bounds"]), row["holds"]) for row in verdict["rules"]
        ]
        yield Table("What the filters say of it", ("rule", "value", "kept if", "holds"), rows)


def _last(audit: Mapping[str, Any]) -> tuple[Cell, ...]:
    last = audit["stages"][-1]
    return audit["doc_id"], _home(audit), last["stage"], last["drop_reason"], audit["locator"]


def _home(row: Mapping[str, Any]) -> str:
    return f"{row.get('source', '')}/{row.get('delivery', '')}"


def _twin(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    return row["doc_id"], _home(row), row["granularity"], row["similarity"], row["url"]


def _rules(stages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Cell, ...]]:
    for row in stages:
        for rule in row["rules"]:
            holds = "ok" if rule["holds"] else "FAIL"
            yield (
                row["stage"],
                holds,
                rule["rule"],
                rule["value"],
                bounds_text(rule["bounds"]) if rule["bounds"] else "",
            )


def _reasons(dropped: Mapping[str, int]) -> str:
    return ", ".join(
        f"{reason} {count:,}" for reason, count in sorted(dropped.items(), key=lambda item: -item[1])
    )


def _run(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    steps = row["steps"] or {"seen_in": 0, "first": None, "last": None}
    return (
        row["run"], row["documents"], row["tokens_in_shards"], row["tokens_seen"], steps["seen_in"], steps["first"], steps["last"],
    )  # fmt: skip


def _scores(training: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Cell, ...]]:
    for run in training:
        for row in run["checkpoints"]:
            for score in row["scores"] or [{}]:
                yield row["checkpoint"], row["tokens_seen"], *(score.get(name) for name in _SCORES)


def _checkpoints(training: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Cell, ...]]:
    rows = {
        (row["checkpoint"], row["step"]): row["scores"] for copy in training for row in copy["checkpoints"]
    }
    for (checkpoint, step), scores in rows.items():
        for score in scores or [{}]:
            yield checkpoint, step, *(score.get(name) for name in _SCORES)


def _files(about: Mapping[str, Any]) -> Iterator[Table]:
    if "files" in about:
        rows = cells(about["files"], "file", "bytes", "sha256", "vendor")
        yield Table("Files", ("file", "bytes", "SHA-256", "vendor"), rows, whole=True)


def _steps(steps: Sequence[int], most: int = 20) -> str:
    shown = ", ".join(map(str, steps[:most]))
    return f"{shown} … {steps[-1]}" if len(steps) > most else shown
