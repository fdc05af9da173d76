"""The Dagster instance of a `$PHOENIX_HOME`: its folder, its settings, and where it stores runs and events.

That is SQLite below the folder, or the Postgres that `$PHOENIX_POSTGRES` names. The lake depends on neither.
"""

import os
from pathlib import Path
from typing import Any, Final

from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from pydantic import Field

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.errors import ConfigError

POSTGRES: Final = "PHOENIX_POSTGRES"
_SCHEME: Final = (
    "postgresql+psycopg2://"  # without a driver's name SQLAlchemy takes one that Dagster's storage is not for
)
_UNCAPTURED: Final[Any] = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
_STORAGE: Final = f"storage:\n  postgres:\n    postgres_url:\n      env: {POSTGRES}\n"


class PoolLimits(Config):
    """`config/pools.yaml`: how many runs of a kind are at work at once."""

    cpu: int = Field(ge=1)
    memory: int = Field(ge=1)
    training: int = Field(ge=1)
    evaluation: int = Field(ge=1)
    network: int = Field(ge=1)


def prepare_instance(home: Path) -> Path:
    """Make the instance's folder if it is missing, with `config/instance.yaml`; return it ($DAGSTER_HOME).

    Settings that somebody has edited stay as they are. Raises ConfigError for a `$PHOENIX_POSTGRES` that cannot be used.
    """
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "dagster.yaml"
    ours = (config_dir() / "instance.yaml").read_text("utf-8")
    wanted = ours + _STORAGE if _is_postgres() else ours
    if not settings.exists() or settings.read_text("utf-8") in {ours, ours + _STORAGE} - {wanted}:
        settings.write_text(wanted, "utf-8")
    return folder


def open_instance(home: Path) -> DagsterInstance:
    """Return the Dagster instance of $DAGSTER_HOME, by default the one of `home`, which is made if it is missing.

    Runs in this process write where the process does: to capture their output takes two more processes a step.
    """
    folder = os.environ.setdefault("DAGSTER_HOME", str(prepare_instance(home)))
    return with_limits(DagsterInstance.from_ref(InstanceRef.from_dir(folder, overrides=_UNCAPTURED)))


def with_limits(instance: DagsterInstance) -> DagsterInstance:
    """Give the pools of `config/pools.yaml` that have no limit yet theirs; what people have set stands."""
    storage = instance.event_log_storage
    limited = {pool.name for pool in storage.get_pool_limits() if not pool.from_default}
    for pool, limit in load(PoolLimits, config_dir() / "pools.yaml").model_dump().items():
        if pool not in limited:
            storage.set_concurrency_slots(pool, limit)
    return instance


def _is_postgres() -> bool:
    url = os.environ.get(POSTGRES, "")
    if url and not url.startswith(_SCHEME):
        written = f"{_SCHEME}{url.partition('://')[2] or 'user:password@host/database'}"
        raise ConfigError(f"${POSTGRES} begins with {url.partition('://')[0]!r}; write {written}")
    return bool(url)
