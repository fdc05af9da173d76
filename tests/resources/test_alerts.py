"""Alerts reach a log and a real web server: each case once, again when it is solved, and never in anybody's way."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from resources.alerts import WEBHOOK_VARIABLE, Alert, Alerts, load_alerts

CASE = Alert(case="delivery qa/d1", version="a", message="cannot be taken")


@dataclass
class Webhook:
    """A server that answers as it is told, first things first, and keeps what it was posted."""

    answers: list[int] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/alerts"

    @property
    def accepted(self) -> list[str]:
        return [body["text"] for body in self.requests if body["answered"] == "200"]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = hook.answers.pop(0) if hook.answers else 200
            hook.requests.append(body | {"answered": str(answer)})
            self.send_response(answer)
            self.end_headers()

        def log_message(self, format: str, *values: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield hook
    server.shutdown()
    thread.join()
    server.server_close()


def alerts(home: Path, url: str | None = None, **changes: object) -> Alerts:
    settings = load_alerts()
    retries = settings.webhook.retries.model_copy(update={"first_delay_seconds": 0, "max_delay_seconds": 0})
    webhook = settings.webhook.model_copy(
        update={"url": url, "retries": retries, "kept": changes.pop("kept", 100)}
    )
    return Alerts(home, settings.model_copy(update={"webhook": webhook, **changes}))


def logged(home: Path) -> list[tuple[str, str]]:
    lines = (home / "alerts.jsonl").read_text("utf-8").splitlines()
    return [(one["case"], one["state"]) for one in map(json.loads, lines)]


def test_a_case_is_told_once_again_in_another_version_and_when_it_is_solved(
    tmp_path: Path, webhook: Webhook
) -> None:
    told = alerts(tmp_path, webhook.url)
    told.tell(CASE)
    told.tell(CASE)
    told.tell(CASE.model_copy(update={"version": "b", "message": "cannot be taken either"}))
    told.solved({CASE.case: "it was corrected", "delivery qa/d2": "nobody was told of it"})
    told.tell(CASE)
    assert webhook.accepted == [
        "Phoenix: delivery qa/d1: cannot be taken",
        "Phoenix: delivery qa/d1: cannot be taken either",
        "Phoenix: solved: delivery qa/d1: it was corrected",
        "Phoenix: delivery qa/d1: cannot be taken",
    ]
    assert logged(tmp_path) == [(CASE.case, state) for state in ("open", "open", "solved", "open")]


def test_what_is_posted_is_json_that_programs_and_chat_systems_read(tmp_path: Path, webhook: Webhook) -> None:
    alerts(tmp_path, webhook.url).tell(CASE.model_copy(update={"message": "标题：错误\nsecond line"}))
    [body] = webhook.requests
    assert body["text"] == "Phoenix: delivery qa/d1: 标题：错误 second line"
    assert {name: body[name] for name in ("case", "state", "version", "message")} == {
        "case": CASE.case, "state": "open", "version": "a", "message": "标题：错误\nsecond line",
    }  # fmt: skip


def test_a_server_that_fails_for_a_moment_is_tried_again(tmp_path: Path, webhook: Webhook) -> None:
    webhook.answers = [503, 429]
    alerts(tmp_path, webhook.url).tell(CASE)
    assert [body["answered"] for body in webhook.requests] == ["503", "429", "200"]


@pytest.mark.parametrize("answers", [[500] * 3, [404]])
def test_what_could_not_be_told_waits_and_is_told_next_time_in_order(
    tmp_path: Path, webhook: Webhook, answers: list[int]
) -> None:
    webhook.answers = answers
    told = alerts(tmp_path, webhook.url)
    told.tell(CASE)
    assert webhook.accepted == []
    told.tell(CASE.model_copy(update={"case": "delivery qa/d2"}))
    assert webhook.accepted == [
        "Phoenix: delivery qa/d1: cannot be taken",
        "Phoenix: delivery qa/d2: cannot be taken",
    ]


def test_nobody_there_stops_nobody_and_the_log_has_it(tmp_path: Path, webhook: Webhook) -> None:
    gone = alerts(tmp_path, "http://127.0.0.1:9/nobody-listens")
    gone.tell(CASE)
    assert logged(tmp_path) == [(CASE.case, "open")]
    alerts(tmp_path, webhook.url).send()
    assert webhook.accepted == ["Phoenix: delivery qa/d1: cannot be taken"]


def test_a_home_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, not a folder")
    alerts(tmp_path / "home").tell(CASE)


def test_the_oldest_are_given_up_when_too_many_wait(tmp_path: Path, webhook: Webhook) -> None:
    gone = alerts(tmp_path, "http://127.0.0.1:9/nobody-listens", kept=2)
    for number in range(4):
        gone.tell(CASE.model_copy(update={"case": f"delivery qa/d{number}"}))
    alerts(tmp_path, webhook.url).send()
    assert [body["case"] for body in webhook.requests] == ["delivery qa/d2", "delivery qa/d3"]
    assert len(logged(tmp_path)) == 4


def test_the_cases_of_a_kind_are_followed_until_they_are_no_more(tmp_path: Path) -> None:
    told = alerts(tmp_path)
    both = {f"behind {name}": Alert(case=f"behind {name}", message="is behind") for name in "ab"}
    told.tell(CASE)
    told.follow("behind", both)
    told.follow("behind", {"behind b": both["behind b"]})
    told.follow("behind", {"behind b": both["behind b"]})
    assert logged(tmp_path) == [
        (CASE.case, "open"), ("behind a", "open"), ("behind b", "open"), ("behind a", "solved"),
    ]  # fmt: skip


def test_many_cases_at_once_become_a_few_alerts(tmp_path: Path) -> None:
    told = alerts(tmp_path, one_by_one=2)
    many = {f"behind {name}": Alert(case=f"behind {name}", message="is behind") for name in "abcde"}
    told.follow("behind", many)
    told.follow("behind", {})
    one_by_one = [("behind a", "open"), ("behind b", "open"), ("behind", "open")]
    assert logged(tmp_path) == [*one_by_one, *((case, "solved") for case, _ in one_by_one)]


def test_several_processes_tell_of_a_case_once(tmp_path: Path, webhook: Webhook) -> None:
    start = threading.Barrier(6)

    def tell() -> None:
        start.wait()
        alerts(tmp_path, webhook.url).tell(CASE)

    threads = [threading.Thread(target=tell) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alerts(tmp_path, webhook.url).send()
    assert webhook.accepted == ["Phoenix: delivery qa/d1: cannot be taken"]


def test_the_address_may_come_from_the_environment(
    tmp_path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WEBHOOK_VARIABLE, webhook.url)
    alerts(tmp_path).tell(CASE)
    assert len(webhook.requests) == 1
