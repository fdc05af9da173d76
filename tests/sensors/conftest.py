"""A home with a landing folder, deliveries in it as vendors put them there, and what the landing sensor asks for."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import dagster as dg
import pytest
import yaml

from phoenix_assets.config import config_dir
from phoenix_assets.definitions import defs
from phoenix_assets.ingest.delivery import DeliveryManifest, Licence, Use, describe, write_manifest
from phoenix_assets.sources import load_sources
from resources.phoenix import Phoenix
from sensors.landing import landing_sensor

SOURCES = load_sources()
NAME = "notes-2024-06"


class Deliver(Protocol):
    def __call__(
        self, text: str, source: str = ..., delivery: str = ..., place: Path | None = ..., **changes: Any
    ) -> Path: ...


@pytest.fixture
def phoenix(tmp_path: Path) -> Phoenix:
    return Phoenix(home=str(tmp_path / "home"), workers=1)


@pytest.fixture
def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


@pytest.fixture
def deliver(phoenix: Phoenix) -> Deliver:
    """How to put one text file with its manifest into a place, by default the landing folder."""

    def make(
        text: str, source: str = "manual", delivery: str = NAME, place: Path | None = None, **changes: Any
    ) -> Path:
        folder = (place or phoenix.landing) / source / delivery
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.txt").write_text(text, "utf-8")
        manifest = DeliveryManifest(
            source=source, delivery=NAME, vendor="us", licence=Licence(id="CC0-1.0", allows=(Use.PRETRAINING,)),
            received=date(2024, 6, 1), format="txt", files=(describe(folder, "a.txt"),),
        )  # fmt: skip
        write_manifest(folder, manifest.model_copy(update={"delivery": delivery, **changes}))
        return folder

    return make


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """How to change settings of a file of `config/`, by default `landing.yaml`."""

    def change(name: str = "landing", **settings: Any) -> None:
        folder = tmp_path / "config"
        if not folder.exists():
            folder.mkdir()
            for path in config_dir().iterdir():
                (folder / path.name).symlink_to(path)
        file = folder / f"{name}.yaml"
        values = yaml.safe_load(file.read_text("utf-8")) | settings
        file.unlink()
        file.write_text(yaml.safe_dump(values), "utf-8")
        monkeypatch.setenv("PHOENIX_CONFIG", str(folder))

    return change


@pytest.fixture
def look(phoenix: Phoenix, instance: dg.DagsterInstance) -> Callable[[], list[str]]:
    """Return the sensor's next evaluation: the partitions that it asks to register."""
    cursor: list[str | None] = [None]

    def evaluate() -> list[str]:
        context = dg.build_sensor_context(
            instance, cursor=cursor[0], resources={"phoenix": phoenix}, definitions=defs
        )
        result = landing_sensor(SOURCES)(context)
        assert isinstance(result, dg.SensorResult)
        cursor[0] = result.cursor
        for request in result.dynamic_partitions_requests or ():
            assert isinstance(request, dg.AddDynamicPartitionsRequest)
            instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        return [f"{run.job_name}[{run.partition_key}]" for run in result.run_requests or ()]

    return evaluate
