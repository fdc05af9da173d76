"""The Dagster instance: SQLite by default, Postgres by one variable; the lake's lineage depends on neither."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import psycopg2
import psycopg2.sql
import pytest
import yaml

from phoenix_assets.audit.closure import closure, verify
from phoenix_assets.config import config_dir
from phoenix_assets.errors import ConfigError
from resources.declare import declared, deliveries
from resources.instance import POSTGRES, prepare_instance
from resources.phoenix import Phoenix
from resources.report import materialized

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


def settings(home: Path) -> dict:
    return yaml.safe_load((prepare_instance(home) / "dagster.yaml").read_text("utf-8"))


def test_runs_and_events_are_in_sqlite_unless_a_variable_says_otherwise(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(POSTGRES, raising=False)
    assert "storage" not in settings(tmp_path)
    monkeypatch.setenv(POSTGRES, "postgresql+psycopg2://phoenix@127.0.0.1/phoenix")
    assert settings(tmp_path)["storage"] == {"postgres": {"postgres_url": {"env": POSTGRES}}}
    monkeypatch.delenv(POSTGRES)
    assert "storage" not in settings(tmp_path)


def test_settings_that_somebody_edited_stay(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(POSTGRES, raising=False)
    path = prepare_instance(tmp_path) / "dagster.yaml"
    edited = path.read_text("utf-8") + "# mine\n"
    path.write_text(edited, "utf-8")
    monkeypatch.setenv(POSTGRES, "postgresql+psycopg2://phoenix@127.0.0.1/phoenix")
    prepare_instance(tmp_path)
    assert path.read_text("utf-8") == edited
    assert (config_dir() / "instance.yaml").read_text("utf-8") != edited


def test_an_address_without_its_driver_is_an_error_that_says_how_to_write_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(POSTGRES, "postgresql://phoenix@db/phoenix")
    with pytest.raises(ConfigError, match=r"write postgresql\+psycopg2://phoenix@db/phoenix"):
        prepare_instance(tmp_path)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a server of our own, which a root user has to run as somebody else."""
    if not PROGRAMS:
        pytest.skip("Debian's postgresql is not installed")
    owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="phoenix-postgres-"))
    if owner:
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = str(folder / "data")

    def run(program: str, *arguments: str) -> None:
        command = [*owner, str(PROGRAMS[-1] / program), *arguments]
        subprocess.run(command, check=True, timeout=120, cwd=folder, stdout=subprocess.DEVNULL)

    run("initdb", "-D", data, "-A", "trust", "-U", "phoenix", "--no-sync")
    listen = f"-p {port} -k {folder} -h 127.0.0.1 -c fsync=off"
    run("pg_ctl", "-D", data, "-o", listen, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg2://phoenix@127.0.0.1:{port}/postgres"
    finally:
        run("pg_ctl", "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def graph(home: Path) -> dg.Definitions:
    described = declared(
        "cc/raw", room="ingest", kernels=(), config={}, partitions=deliveries("cc"), description=""
    )

    @dg.asset(**described)
    def raw(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:
        build = phoenix.start(context, config={})
        return materialized(build.commit_frame(pl.DataFrame({"delivery": [build.partition], "value": ["1"]})))

    return dg.Definitions(assets=[raw], resources={"phoenix": Phoenix(home=str(home))})


def make_one(home: Path) -> dg.DagsterInstance:
    instance = dg.DagsterInstance.from_config(str(prepare_instance(home)))
    instance.add_dynamic_partitions("cc_deliveries", ["a"])
    job = graph(home).get_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance, partition_key="a").success
    return instance


def count(url: str, table: str) -> int:
    with psycopg2.connect(url.replace("+psycopg2", "")) as connection, connection.cursor() as cursor:
        cursor.execute(psycopg2.sql.SQL("select count(*) from {}").format(psycopg2.sql.Identifier(table)))
        return cursor.fetchone()[0]


@pytest.mark.slow
def test_runs_events_and_partitions_are_in_postgres_and_nothing_in_sqlite(
    tmp_path, monkeypatch, postgres
) -> None:
    monkeypatch.setenv(POSTGRES, postgres)
    instance = make_one(tmp_path)
    event = instance.get_latest_materialization_event(dg.AssetKey(["cc", "raw"]))
    assert event is not None and event.asset_materialization.partition == "a"
    instance.dispose()
    assert count(postgres, "runs") == 1 and count(postgres, "event_logs") > 3
    assert count(postgres, "dynamic_partitions") == 1
    assert list((tmp_path / "dagster").rglob("*.db")) == []


def test_pruning_the_event_log_harms_no_audit(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv(POSTGRES, raising=False)
    instance = make_one(tmp_path)
    phoenix = Phoenix(home=str(tmp_path))
    stored = phoenix.ledger.head("cc/raw", "a")
    before = [one.model_dump() for one in closure(phoenix.ledger, stored)]
    for run in instance.get_runs():
        instance.delete_run(run.run_id)
    assert instance.fetch_materializations(dg.AssetKey(["cc", "raw"]), limit=1).records == []
    instance.dispose()
    ledger = Phoenix(home=str(tmp_path)).ledger
    ledger.rebuild()
    again = closure(ledger, ledger.head("cc/raw", "a"))
    assert [one.model_dump() for one in again] == before
    assert verify(phoenix.lake, again).passed
