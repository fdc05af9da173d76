"""Tell people: one channel for everything that needs a person, as `config/alerts.yaml` says.

    alerts = Alerts(home, load_alerts())
    alerts.tell(Alert(case="delivery qa/d1", version=fingerprint, message="…"))   # once, until the case is another one
    alerts.solved({"delivery qa/d1": "it was corrected"})                         # says so, if anybody was told
    alerts.follow("behind", {alert.case: alert for alert in …})                   # the same, for all cases of a kind

An alert is written down before it is sent, and sent until somebody has answered. Telling never raises: what could not be
told waits for the next time, and whoever tells goes on with his work.
"""

import contextlib
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import httpx
from pydantic import Field

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.download_config import Retries
from phoenix_assets.ingest.retries import TransientError, persist, retry_after_seconds
from resources.operations import operations

WEBHOOK_VARIABLE: Final = "PHOENIX_ALERT_WEBHOOK"
_PER_CALL: Final = 50  # alerts sent at once: whoever tells has little time
_PASSING: Final = {408, 425, 429, 500, 502, 503, 504}
_LOG: Final = logging.getLogger("phoenix.alerts")


class WebhookConfig(Config):
    """Where alerts are posted to."""

    url: str | None = Field(default=None, pattern=r"^https?://")
    timeout_seconds: float = Field(gt=0)
    kept: int = Field(ge=1)
    retries: Retries


class WatchdogConfig(Config):
    """When an input that is newer than its child becomes an alert."""

    interval_seconds: int = Field(ge=1)
    newer_for_seconds: float = Field(ge=0)


class AlertsConfig(Config):
    """`config/alerts.yaml`."""

    log: str | None
    one_by_one: int = Field(ge=1)
    webhook: WebhookConfig
    watchdog: WatchdogConfig


def load_alerts() -> AlertsConfig:
    """Return `config/alerts.yaml`."""
    return load(AlertsConfig, config_dir() / "alerts.yaml")


class State(StrEnum):
    """Whether a case needs somebody."""

    OPEN = "open"
    SOLVED = "solved"


class Alert(Config):
    """What somebody should know. `case` names the matter, `version` its present shape: each is told once."""

    case: str  # "<kind> <thing>"
    version: str = ""
    message: str  # the thing, what is wrong with it, what to do
    state: State = State.OPEN
    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def text(self) -> str:
        """The alert in one line."""
        mark = "solved: " if self.state is State.SOLVED else ""
        return " ".join(f"Phoenix: {mark}{self.case}: {self.message}".split())


class Alerts:
    """The alerts of one `$PHOENIX_HOME`; safe for several processes."""

    def __init__(self, home: Path, settings: AlertsConfig) -> None:
        self._home = home
        self._settings = settings
        self._url = os.environ.get(WEBHOOK_VARIABLE) or settings.webhook.url

    def tell(self, *alerts: Alert) -> None:
        """Tell of cases that nobody was told of yet, in this version."""
        with self._never_in_the_way(), operations(self._home) as connection:
            self._write_down(connection, [alert for alert in alerts if _opened(connection, alert)])
        self.send()

    def solved(self, cases: Mapping[str, str]) -> None:
        """Tell how cases were solved, those of them that somebody was told of."""
        with self._never_in_the_way(), operations(self._home) as connection:
            self._write_down(connection, _closed(connection, cases))
        self.send()

    def follow(self, kind: str, alerts: Mapping[str, Alert]) -> None:
        """Tell of cases of a kind that are new among `alerts` (by case), and of known ones that are not among them."""
        with self._never_in_the_way(), operations(self._home) as connection:
            rows = connection.execute("select name from cases where name like ? || ' %'", [kind]).fetchall()
            gone = {name: "it is not so any more" for (name,) in rows if name not in alerts}
            for news in (
                [alert for alert in alerts.values() if _opened(connection, alert)],
                _closed(connection, gone),
            ):
                self._write_down(connection, self._not_too_many(kind, news))
        self.send()

    def _not_too_many(self, kind: str, alerts: list[Alert]) -> list[Alert]:
        """Return alerts of one state, the last ones as one when they are many."""
        rest = alerts[self._settings.one_by_one :]
        if not rest:
            return alerts
        last = Alert(case=kind, message=f"{len(rest)} more, among them {rest[0].case}", state=rest[0].state)
        return [*alerts[: self._settings.one_by_one], last]

    def send(self) -> None:
        """Post what waits, oldest first, until somebody does not answer; one process at a time."""
        if self._url is None:
            return
        with self._never_in_the_way(), self._alone() as alone:
            for number, body in self._waiting() if alone else ():
                self._post(body)
                with operations(self._home) as connection:
                    connection.execute("delete from outbox where number = ?", [number])

    def _write_down(self, connection: sqlite3.Connection, alerts: Iterable[Alert]) -> None:
        for alert in alerts:
            _LOG.warning(alert.text)
            if self._settings.log:
                with (self._home / self._settings.log).open("a", encoding="utf-8") as log:
                    log.write(f"{alert.model_dump_json()}\n")
            if self._url is not None:
                connection.execute("insert into outbox (alert) values (?)", [alert.model_dump_json()])
        connection.execute(
            "delete from outbox where number not in (select number from outbox order by number desc limit ?)",
            [self._settings.webhook.kept],
        )

    def _waiting(self) -> list[tuple[int, str]]:
        with operations(self._home) as connection:
            return connection.execute(
                "select number, alert from outbox order by number limit ?", [_PER_CALL]
            ).fetchall()

    def _post(self, body: str) -> None:
        alert = Alert.model_validate_json(body)
        webhook = self._settings.webhook
        url = self._url or ""

        def attempt() -> None:
            try:
                answer = httpx.post(
                    url,
                    json={"text": alert.text, **alert.model_dump(mode="json")},
                    timeout=webhook.timeout_seconds,
                )
            except httpx.TransportError as error:
                raise TransientError(f"the webhook does not answer: {type(error).__name__}") from error
            problem = f"the webhook answers {answer.status_code}"  # its address may be a secret
            if answer.status_code in _PASSING:
                wait = retry_after_seconds(answer.headers.get("Retry-After"), datetime.now(UTC))
                raise TransientError(problem, wait_seconds=wait)
            if not answer.is_success:
                raise DownloadError(problem)

        persist(attempt, name=alert.case, retries=webhook.retries, pause=time.sleep)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Tell whether no other process is sending, and keep others from it."""
        self._home.mkdir(parents=True, exist_ok=True)
        with (self._home / "alerts.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextlib.contextmanager
    def _never_in_the_way(self) -> Iterator[None]:
        try:
            yield
        except (DownloadError, OSError, sqlite3.Error, httpx.HTTPError, httpx.InvalidURL) as error:
            _LOG.error("an alert waits: %s", error)


def _opened(connection: sqlite3.Connection, alert: Alert) -> bool:
    """Note a case as open; return whether it was not, or was another version of it."""
    known = connection.execute("select version from cases where name = ?", [alert.case]).fetchone()
    if known == (alert.version,):
        return False
    connection.execute(
        "insert or replace into cases values (?, ?, ?)", [alert.case, alert.version, alert.model_dump_json()]
    )
    return True


def _closed(connection: sqlite3.Connection, cases: Mapping[str, str]) -> list[Alert]:
    """Note cases as closed; return what to tell of those that were open."""
    return [
        Alert(case=case, message=message, state=State.SOLVED)
        for case, message in cases.items()
        if connection.execute("delete from cases where name = ?", [case]).rowcount
    ]
