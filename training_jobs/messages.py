"""What a trainer says while it runs: an append-only file in Dagster Pipes' format, one JSON a line.

Delivery is at least once: after a resume the steps since the last checkpoint are reported again, so key
metrics by step (`metrics_by_step`). A reader keeps a byte offset; a line that is still being written waits
for the next read, and a line cut off by a crash is closed by the next writer and skipped.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from dagster_pipes import PIPES_PROTOCOL_VERSION, PIPES_PROTOCOL_VERSION_FIELD, Method

MESSAGES_FILE: Final = "messages.jsonl"


class PayloadKind(StrEnum):
    """What a custom message carries."""

    STEP = "step"
    CHECKPOINT = "checkpoint"


@dataclass(frozen=True)
class StepMetrics:
    """One step as reported: the loss of its own global batch, norms before clipping, rates since the last."""

    step: int
    loss: float
    validation_loss: float | None
    grad_norm: float
    param_norm: float
    lr: float
    tokens_seen: int
    tokens_per_s: float
    step_time_s: float


@dataclass(frozen=True)
class Message:
    """One Pipes message: its method and its parameters."""

    method: str
    params: Mapping[str, Any]

    @property
    def payload(self) -> Mapping[str, Any]:
        """The payload of a custom message; empty for other methods."""
        payload = self.params.get("payload")
        return payload if isinstance(payload, Mapping) else {}

    def of_kind(self, kind: PayloadKind) -> bool:
        """Tell whether this is a custom message of `kind`."""
        return self.payload.get("kind") == kind


class MessageWriter:
    """Append messages to a file: each is one write of one whole line, visible at once."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.closed(error)
        os.close(self._descriptor)

    def write(self, method: Method, params: Mapping[str, Any]) -> None:
        """Append one message. Raises ValueError when `params` holds NaN or infinity, which JSON lacks."""
        message = {PIPES_PROTOCOL_VERSION_FIELD: PIPES_PROTOCOL_VERSION, "method": method, "params": params}
        line = json.dumps(message, ensure_ascii=False, allow_nan=False) + "\n"
        os.write(self._descriptor, line.encode())

    def opened(self, extras: Mapping[str, Any]) -> None:
        """Say that a trainer process started."""
        self.write("opened", {"extras": extras})

    def closed(self, error: BaseException | None = None) -> None:
        """Say that the trainer process ends, and why when it fails."""
        if error is None:
            self.write("closed", {})
        else:
            detail: dict[str, Any] = {
                "message": str(error),
                "stack": [],
                "name": type(error).__name__,
                "cause": None,
                "context": None,
            }
            self.write("closed", {"exception": detail})

    def log(self, text: str, level: str = "INFO") -> None:
        """Pass a line to the orchestrator's log."""
        self.write("log", {"message": text, "level": level})

    def step(self, metrics: StepMetrics) -> None:
        """Report a step."""
        self.write("report_custom_message", {"payload": {"kind": PayloadKind.STEP, **asdict(metrics)}})

    def checkpoint(self, manifest: Mapping[str, Any]) -> None:
        """Report a whole checkpoint by its manifest."""
        self.write(
            "report_custom_message", {"payload": {"kind": PayloadKind.CHECKPOINT, "manifest": manifest}}
        )


def tail(path: Path, offset: int = 0) -> tuple[list[Message], int]:
    """Return the whole messages from byte `offset` on, and the offset to continue from.

    A file that does not exist yet has no messages. Lines cut off by a crash are skipped.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read()
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    messages = [message for line in data[:end].splitlines() if (message := _parse(line)) is not None]
    return messages, offset + end


def _parse(line: bytes) -> Message | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    if not isinstance(value, dict) or PIPES_PROTOCOL_VERSION_FIELD not in value or "method" not in value:
        return None
    return Message(str(value["method"]), value.get("params") or {})


def metrics_by_step(messages: Iterable[Message]) -> dict[int, StepMetrics]:
    """Return the last report of each step, ascending by step."""
    names = [field.name for field in fields(StepMetrics)]
    found = {}
    for message in messages:
        if message.of_kind(PayloadKind.STEP):
            metrics = StepMetrics(**{name: message.payload[name] for name in names})
            found[metrics.step] = metrics
    return dict(sorted(found.items()))
