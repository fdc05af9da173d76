"""Pages of what something stands on, and of what differs between two such things."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from phoenix_assets.audit.diff import flat
from phoenix_assets.audit.page import Cell, Page, Table, cells, licence_text

_STAGES: Final = ("extracted", "normalized", "filtered", "deduped", "trimmed", "tagged")
_AMOUNTS: Final = {
    "documents_seen": "documents seen",
    "tokens_seen": "tokens seen",
    "documents": "documents",
    "copies": "copies",
    "estimated_tokens": "tokens (est.)",
    "tokens": "tokens",
}


def upstream_page(audit: Mapping[str, Any]) -> Page:
    """Return the page of a checkpoint, an evaluation, a mixture or a dataset."""
    about = audit[audit["kind"]]
    facts: dict[str, Cell] = {
        name.replace("_", " "): value for name, value in about.items() if not isinstance(value, list)
    }
    if len(about["versions"]) == 1:
        facts |= {name.replace("_", " "): value for name, value in about["versions"][0].items()}
    return Page(
        title=_title(audit),
        facts=facts,
        tables=[
            *_scores(about),
            _deliveries(audit["deliveries"]),
            _licences(audit["deliveries"]),
            _models(audit["models"]),
            Table("Partitions", ("asset", "partition", "version"), _versions(about["versions"]), whole=True),
            Table(
                "Rules, thresholds and settings",
                ("asset", "setting", "value"),
                list(_settings(audit["rules"])),
                whole=True,
            ),
            Table("Code versions", ("asset", "code"), list(_code(audit["code_versions"])), whole=True),
            Table(
                "Files",
                ("delivery", "file", "bytes", "SHA-256", "vendor"),
                list(_files(audit["deliveries"])),
                whole=True,
            ),
            Table(
                "Records",
                ("asset", "partition", "version", "rows", "finished", "run"),
                list(_records(audit["records"])),
                whole=True,
            ),
        ],
        verification=audit["verification"],
    )


def diff_page(audit: Mapping[str, Any]) -> Page:
    """Return the page of a difference."""
    first, second = (audit["diff"][name]["name"] for name in ("first", "second"))
    documents = audit["documents"]
    moved = {way: sum(row["documents"] for row in documents[way]) for way in ("in", "out")}
    columns = ("stage", "reason", "documents", "for example")
    return Page(
        title=f"From {first} to {second}",
        story=list(_diff_story(audit, moved)),
        facts={"compared": ", ".join(documents["compared"])} if documents["compared"] else {},
        tables=[
            Table("Documents that came in, and what kept them out before", columns, _moved(documents["in"])),
            Table("Documents that went out, and what took them out", columns, _moved(documents["out"])),
            Table("Deliveries", ("delivery", "change", "licence"), [(row["delivery"], row["change"], _terms(row["licences"])) for row in audit["deliveries"]]),
            Table("Rules, thresholds and settings", ("asset", "setting", "first", "second"), [(row["asset"], row["rule"], _plain(row["first"]), _plain(row["second"])) for row in audit["rules"]]),
            Table("Code", ("asset", "kernel", "first", "second"), [tuple(row.values()) for row in audit["code"]]),
            Table("Models", ("model", "change"), [tuple(row.values()) for row in audit["models"]]),
        ],
        verification=audit["verification"],
    )  # fmt: skip


def licences_page(audit: Mapping[str, Any]) -> Page:
    """Return the page of the licences that end."""
    asked = audit["licences"]
    rows = audit["expiring"]
    until = f"end until {asked['until']}" if asked["until"] else "are known"
    return Page(
        title=f"Licences on {asked['today']}",
        story=[f"Of {asked['deliveries']:,} deliveries, the licences of {len(rows):,} {until}."],
        tables=[
            Table(
                "Licences and what stands on them",
                (
                    "delivery",
                    "licence",
                    "expires",
                    "days left",
                    "documents",
                    "mixtures",
                    "tokens (est.)",
                    "runs",
                    "tokens seen",
                ),
                [_expiring(row) for row in rows],
            )
        ],
        verification=audit["verification"],
    )


def _expiring(row: Mapping[str, Any]) -> tuple[Cell, ...]:
    return (
        f"{row['source']}/{row['delivery']}", row["licence"], row["expires"] or "never", row["days_left"], row["documents"],
        ", ".join(one["mixture"] for one in row["mixtures"]), sum(one["estimated_tokens"] for one in row["mixtures"]),
        ", ".join(one["run"] for one in row["runs"]), sum(one["tokens_seen"] for one in row["runs"]),
    )  # fmt: skip


def _title(audit: Mapping[str, Any]) -> str:
    about, kind = audit[audit["kind"]], audit["kind"]
    if "experiment" in about:
        return f"{kind.capitalize()} of {about['experiment']} at step {about['step']:,}"
    return f"{kind.capitalize()} {about[kind]}"


def _scores(about: Mapping[str, Any]) -> Iterator[Table]:
    names = ("lang", "documents", "tokens", "perplexity", "bits_per_char", "recall_top1", "recall_top5")
    if "scores" in about:
        yield Table("Scores", names, cells(about["scores"], *names))


def _deliveries(rows: Sequence[Mapping[str, Any]]) -> Table:
    amounts = [name for name in _AMOUNTS if any(name in row for row in rows)]
    stages = [stage for stage in _STAGES if any(stage in row["documents_at_stage"] for row in rows)]
    return Table(
        "Deliveries",
        ("delivery", "licence", "files", *stages, *(_AMOUNTS[name] for name in amounts)),
        [
            (
                f"{row['source']}/{row['delivery']}", _terms(row["licences"]), len(row["files"]),
                *(row["documents_at_stage"].get(stage) for stage in stages), *(row.get(name) for name in amounts),
            )
            for row in rows
        ],
    )  # fmt: skip


def _licences(deliveries: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            term["licence"],
            term["expires"] or "never",
            ", ".join(term["allows"]),
            f"{term['source']}/{term['delivery']}",
        )
        for row in deliveries
        for term in row["licences"]
    ]
    return Table("Licences", ("licence", "expires", "allows", "delivery"), sorted(rows), whole=True)


def _terms(licences: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(map(licence_text, licences))


def _models(models: Sequence[Mapping[str, Any]]) -> Table:
    rows = [(one["asset"], one["data_version"], one["finished"], one["code_version"]) for one in models]
    return Table("Models", ("model", "version", "made", "code"), rows)


def _versions(versions: Sequence[Mapping[str, Any]]) -> list[tuple[Cell, ...]]:
    if len(versions) == 1:
        return []
    return [(one["asset"], one["partition"], one["data_version"]) for one in versions]


def _settings(rules: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Cell, ...]]:
    for rule in rules:
        for path, value in flat(rule["config"]):
            if value is not None and value != "":
                yield rule["asset"], path, _plain(value)


def _code(versions: Mapping[str, Sequence[str]]) -> Iterator[tuple[Cell, ...]]:
    yield from ((asset, version) for asset, found in versions.items() for version in found)


def _files(deliveries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Cell, ...]]:
    for row in deliveries:
        for file in row["files"]:
            yield (
                f"{row['source']}/{row['delivery']}",
                file["file"],
                file["bytes"],
                file["sha256"],
                file["vendor"],
            )


def _records(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Cell, ...]]:
    for one in records:
        yield (
            one["asset"], one["partition"], one["data_version"], one["counts"].get("rows_out"), one["finished"], one["run_id"],
        )  # fmt: skip


def _diff_story(audit: Mapping[str, Any], moved: Mapping[str, int]) -> Iterator[str]:
    documents = audit["documents"]
    if documents["compared"] is None:
        yield "These hold no documents that could be compared."
    else:
        yield (
            f"{moved['in']:,} documents came in, {moved['out']:,} went out, {documents['changed']:,} are other than they were,"
            f" {documents['same']:,} are the same."
        )
    counts = {name: len(audit[name]) for name in ("deliveries", "rules", "code", "models")}
    yield (
        "Other than before: "
        + (", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing")
        + "."
    )


def _moved(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Cell, ...]]:
    return [(row["stage"], row["reason"], row["documents"], ", ".join(row["examples"][:2])) for row in rows]


def _plain(value: Any) -> Cell:
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return value if value is None or isinstance(value, str | int | float) else str(value)
