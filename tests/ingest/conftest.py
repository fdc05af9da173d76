"""The limits that ship with the project, and ways to make them small; a crawl's server that can misbehave."""

import gzip
import io
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from phoenix_assets.ingest.config import ReaderLimits, reader_limits
from phoenix_assets.ingest.download_config import CrawlSource, load_downloads


@pytest.fixture
def limits() -> ReaderLimits:
    return reader_limits()


@pytest.fixture
def limits_with(limits: ReaderLimits) -> Callable[..., ReaderLimits]:
    def make(**changes: Any) -> ReaderLimits:
        return ReaderLimits.model_validate({**limits.model_dump(), **changes})

    return make


SNAPSHOT = "CC-MAIN-2024-22"
FOLDER = f"crawl-data/{SNAPSHOT}"
SEGMENTS = f"{FOLDER}/segments/1715971057216.39/warc"
PAGE = (
    "<html><head><title>Page {0}</title></head><body><main><p>It was a bright cold day in April, and the clocks \
were striking thirteen. This is page {0} of the crawl.</p></main></body></html>"
)


def warc_file(number: int, filler: int = 0) -> bytes:
    """Return a WARC file of two pages, a gzip member each, and `filler` bytes that do not compress."""
    stream = io.BytesIO()
    writer = WARCWriter(stream, gzip=True)
    bodies = [PAGE.format(f"{number}.{page}").encode() for page in range(2)]
    if filler:
        bodies.insert(1, random.Random(number).randbytes(filler))  # an image, to the reader
    for body in bodies:
        kind = "text/html; charset=utf-8" if body.startswith(b"<") else "image/png"
        http = StatusAndHeaders("200 OK", [("Content-Type", kind)], protocol="HTTP/1.1")
        url = f"http://example.org/{number}"
        record = writer.create_warc_record(
            url, "response", payload=io.BytesIO(body), http_headers=http,
            warc_headers_dict={"WARC-Date": "2024-05-17T23:31:22Z"},
        )  # fmt: skip
        writer.write_record(record)
    return stream.getvalue()


@dataclass
class CrawlServer:
    """A snapshot on a real server on loopback. `faults[path]` are what it does at the next GETs of a path, in order."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    etags: bool = True
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, Range
    hanging: threading.Event = field(default_factory=threading.Event)  # a client has been left waiting
    released: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def paths(self) -> list[str]:
        return sorted(path for path in self.files if path.startswith(SEGMENTS))

    def publish(self, count: int, filler: int = 0) -> None:
        """Put `count` files and their listing on the server."""
        for number in range(count):
            path = f"{SEGMENTS}/CC-MAIN-20240517233122-20240518023122-{number:05d}.warc.gz"
            self.files[path] = warc_file(number, filler)
        self.list_paths(self.paths)

    def list_paths(self, paths: list[str]) -> None:
        self.files[f"{FOLDER}/warc.paths.gz"] = gzip.compress("".join(f"{path}\n" for path in paths).encode())

    def gets(self, path: str) -> list[str]:
        """Return the Range of every GET of a path, "" where there was none."""
        return [wanted for method, asked, wanted in self.requests if (method, asked) == ("GET", path)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    crawl: CrawlServer

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(send_body=False)

    def do_GET(self) -> None:
        self._answer(send_body=True)

    def _answer(self, *, send_body: bool) -> None:
        path = self.path.removeprefix("/")
        wanted = self.headers.get("Range", "")
        self.crawl.requests.append((self.command, path, wanted))
        faults = self.crawl.faults.get(path, []) if send_body else []
        fault = faults.pop(0) if faults else ""
        content = self.crawl.files.get(path)
        if content is None or fault == "gone":
            self._empty(404)
        elif fault.startswith("status "):
            _, status, retry_after = fault.split(" ", 2)
            self._empty(int(status), **{"Retry-After": retry_after})
        elif fault.startswith("redirect "):
            self._empty(302, Location=fault.removeprefix("redirect "))
        else:
            self._send(path, content, wanted, fault, send_body=send_body)

    def _empty(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, path: str, content: bytes, wanted: str, fault: str, *, send_body: bool) -> None:
        whole = len(content)
        etag = f'"{hash(content):x}"' if fault != "other version" else '"other"'
        if fault == "wrong bytes":
            middle = whole // 2
            content = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        first = first if self.headers.get("If-Range") == etag and fault != "no range" else 0
        body = content[first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{whole - 1}/{whole}")
        if self.crawl.etags:
            self.send_header("ETag", etag)
        half = body[: len(body) // 2]
        self.send_header("Content-Length", str(len(half) if fault == "wrong length" else len(body)))
        self.end_headers()
        if not send_body:
            return
        self.wfile.write(half if fault in {"cut", "reset", "hang", "wrong length"} else body)
        self.wfile.flush()
        if fault == "hang":
            self.crawl.hanging.set()
            self.crawl.released.wait(20)
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = self.close_connection or fault != ""


@pytest.fixture
def crawl() -> Iterator[CrawlServer]:
    server = CrawlServer()
    handler = type("Handler", (_Handler,), {"crawl": server})
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    http.handle_error = lambda *_: None  # clients that hang up are what is tested
    server.port = http.server_address[1]
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.released.set()
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def crawl_source(crawl: CrawlServer) -> Callable[..., CrawlSource]:
    """The settings that ship with the project, pointed at the test's server and in a hurry."""

    def make(**changes: Any) -> CrawlSource:
        values = load_downloads()["cc"].model_dump(mode="json")
        values |= {"base_url": crawl.url, "connections": 3, "bytes_per_second": None, "files_per_delivery": 3}
        values["retries"] |= {"attempts": 3, "first_delay_seconds": 0}
        for key, value in changes.items():
            values[key] = values[key] | value if isinstance(value, dict) else value
        return CrawlSource.model_validate(values)

    return make
