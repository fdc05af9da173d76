"""A process of its own for PDFium, because nothing can stop it from within: what takes too long costs itself alone.

A worker has one such process, started at its first PDF and again after one that ended it. The limits are the kernel's
(CPU time, memory), so they hold inside native code, and the same document meets them however busy the machine is.
"""

import math
import resource
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final

from phoenix_assets.ingest.config import PdfLimits, ReaderLimits
from phoenix_assets.ingest.pdf import Source, read_document
from phoenix_assets.ingest.records import Record, RecordRejected, Reject
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"


def read(source: Source, limits: ReaderLimits) -> Iterator[Record | Reject]:
    """Yield what `read_document` yields. Raises RecordRejected also when PDFium takes too long (too_slow) or crashes."""
    answer = _reader().ask(source, limits)
    if isinstance(answer, _Refusal):
        raise RecordRejected(answer.reason, answer.detail)
    yield from answer


@dataclass(frozen=True)
class _Refusal:
    """A RecordRejected on its way to another process."""

    reason: RejectReason
    detail: str


_Answer = list[Record | Reject] | _Refusal


class _Reader:
    """The process and the pipe to it."""

    def __init__(self) -> None:
        self._process: SpawnProcess | None = None
        self._pipe: Connection

    def ask(self, source: Source, limits: ReaderLimits) -> _Answer:
        """Return what the process makes of a PDF, or why it ended."""
        process = self._process or self._start()
        try:
            self._pipe.send((source, limits))
            answer: _Answer = self._pipe.recv()
        except (EOFError, ConnectionError):
            process.join()
            self._process = None
            return _why(process.exitcode or 0, limits.pdf)
        return answer

    def _start(self) -> SpawnProcess:
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True, name="pdf")
        process.start()
        theirs.close()
        self._process = process
        return process


@cache
def _reader() -> _Reader:
    return _Reader()


def _why(exitcode: int, limits: PdfLimits) -> _Refusal:
    if exitcode == -signal.SIGXCPU:
        detail = f"PDFium is not done with it after {limits.max_seconds} seconds of computing"
        return _Refusal(RejectReason.TOO_SLOW, detail)
    detail = f"PDFium ends with signal {-exitcode}: the PDF is damaged, or takes more than {limits.max_memory_bytes} bytes"
    return _Refusal(RejectReason.CORRUPT, detail)


def _serve(pipe: Connection) -> None:
    """Answer every PDF that comes through the pipe, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(resource.RLIMIT_CORE, 0)
    while True:
        try:
            source, limits = pipe.recv()
        except EOFError:
            return
        usage = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, math.ceil(usage.ru_utime + usage.ru_stime) + limits.pdf.max_seconds)
        _limit(resource.RLIMIT_DATA, limits.pdf.max_memory_bytes)
        pipe.send(_answer(source, limits))


def _limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _answer(source: Source, limits: ReaderLimits) -> _Answer:
    try:
        return list(read_document(source, limits))
    except RecordRejected as problem:
        return _Refusal(problem.reason, problem.detail)
    except Exception as error:  # whatever a binding raises, the next PDF is to be read
        return _Refusal(RejectReason.CORRUPT, f"{type(error).__name__}: {error}"[:1000])
