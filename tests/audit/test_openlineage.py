"""OpenLineage events of lineage records, as its own client's classes and a real receiver read them.

The classes of `openlineage.client.generated` are generated from the official JSON schema, with its required fields,
types and formats. `read_strictly` makes them from the JSON that was sent; a field that they don't have is an error.
"""

import json
import threading
import types
import typing
from collections.abc import Iterator
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attr
import polars as pl
import pytest
from openlineage.client import facet_v2
from openlineage.client.event_v2 import RunEvent
from openlineage.client.generated.base import BaseFacet

from phoenix_assets.definitions import defs
from phoenix_assets.errors import ConfigError
from phoenix_assets.lineage import LicenceTerms, StoredRecord
from phoenix_assets.schema import DOCUMENT, StageOutput, ledger_rows
from resources.build import Build
from resources.lake import Lake
from resources.ledger import LineageLedger
from resources.openlineage import Events, load_openlineage, open_client
from resources.shard_work import shard_work
from sensors.openlineage import send

DELIVERIES = ("faq-2023", "faq-2024")
OFFICIAL = {
    kind._get_schema(): kind
    for module in vars(facet_v2).values()
    if isinstance(module, types.ModuleType)
    for kind in vars(module).values()
    if attr.has(kind) and issubclass(kind, BaseFacet)
}


def read_strictly(kind: Any, value: Any, where: str = "") -> Any:
    """Make an official class of JSON; raise when a field is unknown, missing or of another type."""
    if attr.has(kind):
        return _read_class(kind, value, where)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else read_strictly(arguments[0], value, where)
    if origin is list:
        return [read_strictly(arguments[0], one, f"{where}[]") for one in value]
    if origin is dict:
        return {
            name: read_strictly(_stated(one) or arguments[1], one, f"{where}.{name}")
            for name, one in value.items()
        }
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if kind is float:
        kind = (int, float)
    assert kind is Any or isinstance(value, kind), f"{where}: {value!r} is no {kind}"
    return value


def _stated(value: Any) -> Any:
    """Return the class of a facet, by the schema that it states."""
    return OFFICIAL[value["_schemaURL"]] if isinstance(value, dict) and "_schemaURL" in value else None


def _read_class(kind: Any, value: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(
        kind, vars(__import__(kind.__module__, fromlist=["_"])) | {"ClassVar": typing.ClassVar}
    )
    fields = {field.name: field for field in attr.fields(kind)}
    unknown = set(value) - set(fields)
    assert not unknown, f"{where}: {kind.__name__} has no {unknown}"
    read = {name: read_strictly(hints[name], one, f"{where}.{name}") for name, one in value.items()}
    made = kind(**{fields[name].alias: one for name, one in read.items() if fields[name].init})
    stated = {name: one for name, one in read.items() if not fields[name].init}
    assert all(getattr(made, name) == one for name, one in stated.items()), f"{where}: {stated}"
    return made


@pytest.fixture
def ledger(tmp_path: Path) -> LineageLedger:
    """A ledger over normalised and filtered documents of two deliveries, and a mixture of both."""
    ledger = LineageLedger(Lake(tmp_path / "home"))
    terms = [
        LicenceTerms(source="qa", delivery=one, licence="CC-BY-4.0", allows=("pretraining",))
        for one in DELIVERIES
    ]
    for delivery, term in zip(DELIVERIES, terms, strict=True):
        normalized = make(ledger, "qa/normalized", delivery, licences=(term,))
        make(ledger, "qa/filtered", delivery, normalized, dropped=1)
    make(ledger, "mix/v3", "", *ledger.heads("qa/filtered").values())
    return ledger


def make(
    ledger: LineageLedger,
    asset: str,
    partition: str,
    *inputs: StoredRecord,
    dropped: int = 0,
    licences: Any = None,
) -> StoredRecord:
    build = Build(
        lake=ledger.lake, ledger=ledger, asset=asset, partition=partition, code_version="funnel.1+cfg=0", config={},
        run_id="3f1c2a4e-0d6b-4a7e-9c55-5f0e1b2d3c4a", inputs=tuple(one.as_input() for one in inputs),
        partitioned_by="delivery" if partition else None,
    )  # fmt: skip
    rows = [{name: f"{name} {row}" for name in DOCUMENT} | {"delivery": partition} for row in range(3)]
    documents = pl.DataFrame(rows, schema=DOCUMENT)
    kept = pl.int_range(pl.len()) >= dropped
    ledgered = ledger_rows(
        documents,
        asset.rpartition("/")[2],
        kept=kept,
        drop_reason=pl.when(kept).then(pl.lit("success")).otherwise(pl.lit("short_line")),
    )
    output = shard_work(build, lambda frame: [StageOutput(frame.filter(kept), ledgered)])(documents)
    return build.commit_shards(DOCUMENT, [output], licences=licences)


@pytest.fixture
def events(ledger: LineageLedger) -> Events:
    return Events(ledger, "phoenix", defs.get_repository_def().asset_graph)


class Receiver(ThreadingHTTPServer):
    """A server that takes events as Marquez does; `refusing`, it is out of order."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[dict[str, Any]] = []
        self.refusing = False


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        known = self.path == "/api/v1/lineage" and not self.server.refusing
        if known:
            self.server.received.append(json.loads(body))
        self.send_response(201 if known else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sent_to(url: str):
    return load_openlineage().model_copy(update={"transport": {"type": "http", "url": url}})


def test_a_receiver_gets_every_materialisation_once_as_the_official_schema_has_it(
    events: Events, receiver: Receiver, tmp_path: Path
) -> None:
    settings, sent = sent_to(f"http://127.0.0.1:{receiver.server_port}"), {}
    assert send(events, settings, tmp_path, sent) == 5
    assert send(events, settings, tmp_path, sent) == 0
    read = [read_strictly(RunEvent, event) for event in receiver.received]
    assert [event.eventType.value for event in read] == ["START", "COMPLETE"] * 5
    assert len({event.run.runId for event in read}) == 5


def test_a_receiver_that_is_out_of_order_misses_nothing(
    events: Events, receiver: Receiver, tmp_path: Path
) -> None:
    settings, sent = sent_to(f"http://127.0.0.1:{receiver.server_port}"), {}
    receiver.refusing = True
    with pytest.raises(Exception, match="400"):
        send(events, settings, tmp_path, sent)
    receiver.refusing = False
    send(events, settings, tmp_path, sent)
    assert len(receiver.received) == 10


def test_all_inputs_are_there_at_the_versions_that_were_read(events: Events, ledger: LineageLedger) -> None:
    stored = ledger.head("mix/v3")
    assert stored is not None
    _, complete = events.of(stored)
    assert [(one.name, one.facets["version"].datasetVersion) for one in complete.inputs] == [
        (f"qa/filtered/delivery={one.partition}", one.data_version) for one in stored.record.inputs
    ]
    assert [one.inputFacets["dataQualityMetrics"].rowCount for one in complete.inputs] == [2, 2]
    [output] = complete.outputs
    assert output.facets["version"].datasetVersion == stored.record.data_version
    assert [(tag.key, tag.value) for tag in output.facets["tags"].tags] == [("licence", "CC-BY-4.0")]


def test_columns_are_traced_to_the_columns_that_they_are_made_of(
    events: Events, ledger: LineageLedger
) -> None:
    stored = ledger.head("qa/filtered", DELIVERIES[0])
    assert stored is not None
    _, complete = events.of(stored)
    lineage = complete.outputs[0].facets["columnLineage"]

    def origins(column: str) -> list[tuple[str, str, str]]:
        fields = lineage.fields[column].inputFields
        return [(one.name, one.field, one.transformations[0].subtype) for one in fields]

    source = f"qa/normalized/delivery={DELIVERIES[0]}"
    assert origins("doc_id") == [(source, "doc_id", "IDENTITY")]
    assert origins("lang") == [(source, "text", "TRANSFORMATION")]
    assert (source, "text") in [(one.name, one.field) for one in lineage.dataset]


def test_a_table_read_in_many_partitions_stands_for_them_in_the_columns(
    events: Events, ledger: LineageLedger
) -> None:
    stored = ledger.head("mix/v3")
    assert stored is not None
    _, complete = events.of(stored)
    fields = complete.outputs[0].facets["columnLineage"].fields["doc_id"].inputFields
    assert [one.name for one in fields] == ["qa/filtered"]
    assert complete.inputs[0].facets["symlinks"].identifiers[0].name == "qa/filtered"


def test_a_file_in_the_home_is_a_transport(events: Events, tmp_path: Path) -> None:
    transport = {"type": "file", "log_file_path": "openlineage.jsonl", "append": True}
    settings = load_openlineage().model_copy(update={"transport": transport})
    send(events, settings, tmp_path, {})
    lines = (tmp_path / "openlineage.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["eventType"] for line in lines] == ["START", "COMPLETE"] * 5


def test_nothing_is_sent_unless_it_is_configured(tmp_path: Path) -> None:
    assert load_openlineage().transport is None
    assert "openlineage" not in {sensor.name for sensor in defs.get_repository_def().sensor_defs}
    with pytest.raises(ConfigError, match="no transport"):
        open_client(load_openlineage(), tmp_path)
