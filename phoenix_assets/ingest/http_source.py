"""The server a source is downloaded from: sizes, small files whole, large ones from any byte on.

Redirects are followed only to hosts that the configuration names, and never from https to http. A `Remote` pins what a
file was when it was looked at: its bytes are only ever joined with bytes of the same version (If-Range).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import httpx

from phoenix_assets.errors import DownloadError
from phoenix_assets.ingest.download_config import CrawlSource
from phoenix_assets.ingest.retries import DamagedError, TransientError, retry_after_seconds

_MAX_REDIRECTS: Final = 5
_PARTIAL: Final = 206
_RANGE_REFUSED: Final = 416
_PASSING: Final = frozenset({408, 425, 429, *range(500, 600)})
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Remote:
    """A file on the server, in the version that was there when it was looked at."""

    url: str
    bytes: int
    etag: str = ""
    last_modified: str = ""

    @property
    def validator(self) -> str:
        """What If-Range compares, "" when the server names no version by which bytes may be joined (RFC 9110)."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


class HttpSource:
    """One source's server, over a bounded number of connections. Safe for many threads; close it after use."""

    def __init__(self, settings: CrawlSource) -> None:
        self._settings = settings
        timeouts = settings.timeouts
        self._client = httpx.Client(
            timeout=httpx.Timeout(timeouts.read_seconds, connect=timeouts.connect_seconds, pool=None),
            limits=httpx.Limits(max_connections=settings.connections),
            headers={"User-Agent": settings.user_agent, "Accept-Encoding": "identity"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def url(self, path: str) -> str:
        """Return the URL of a path below the base URL."""
        return f"{self._settings.base_url}{path}"

    def look(self, path: str) -> Remote:
        """Return size and version of a file. Raises TransientError, DownloadError."""
        with self._answer("HEAD", path, {}) as answer:
            length = answer.headers.get("Content-Length", "")
            if not length.isdecimal():
                raise DownloadError(f"{self.url(path)}: the server does not say how long it is")
            return Remote(self.url(path), int(length), *_version(answer))

    def read(self, path: str, max_bytes: int) -> bytes:
        """Return a small file whole. Raises TransientError, DownloadError when it is larger than `max_bytes`."""
        body = bytearray()
        with self._answer("GET", path, {}) as answer:
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > max_bytes:
                    raise DownloadError(f"{self.url(path)} is larger than {max_bytes} bytes")
        return bytes(body)

    @contextmanager
    def stream(self, path: str, remote: Remote, offset: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Yield (first byte, chunks) of a file, from `offset` on where the server can, else from 0.

        Raises TransientError; DamagedError when what has arrived so far is of no use; DownloadError when the file on
        the server is not the one that was looked at any more.
        """
        headers = {"Range": f"bytes={offset}-", "If-Range": remote.validator} if offset else {}
        with self._answer("GET", path, headers) as answer:
            yield _first_byte(answer, remote, offset), answer.iter_raw()

    @contextmanager
    def _answer(self, method: str, path: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
        url = httpx.URL(self.url(path))
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                with self._client.stream(method, url, headers=headers) as answer:
                    if not answer.has_redirect_location:
                        _check_status(answer)
                        yield answer
                        return
                    url = self._next(answer)
        except httpx.TransportError as error:
            raise TransientError(f"{url}: {type(error).__name__}: {error}") from error
        raise DownloadError(f"{self.url(path)}: more than {_MAX_REDIRECTS} redirects")

    def _next(self, answer: httpx.Response) -> httpx.URL:
        try:
            url = answer.url.join(answer.headers["Location"])
        except httpx.InvalidURL as error:
            raise DownloadError(f"{answer.url}: redirected to no URL: {error}") from error
        known = {httpx.URL(self._settings.base_url).netloc.decode(), *self._settings.redirect_hosts}
        downgraded = answer.url.scheme == "https" and url.scheme != "https"
        if (
            url.netloc.decode() not in known
            or downgraded
            or not self._settings.may_be_asked(url.scheme, url.host)
        ):
            raise DownloadError(
                f"{answer.url}: redirected to {url.scheme}://{url.netloc.decode()}, which is not allowed; "
                "if it is in order, name the host in redirect_hosts"
            )
        return url


def _check_status(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    problem = f"{answer.url}: the server answers {answer.status_code} {answer.reason_phrase}".rstrip()
    if answer.status_code == _RANGE_REFUSED:
        raise DamagedError(problem)
    if answer.status_code in _PASSING:
        wait = retry_after_seconds(answer.headers.get("Retry-After"), datetime.now(UTC))
        raise TransientError(problem, wait_seconds=wait)
    raise DownloadError(problem)


def _first_byte(answer: httpx.Response, remote: Remote, offset: int) -> int:
    """Return where the body begins, once it is known to be a part of `remote`."""
    if any(
        now and then and now != then
        for now, then in zip(_version(answer), (remote.etag, remote.last_modified), strict=True)
    ):
        raise DownloadError(f"{remote.url} changed on the server during the download; ask for it again")
    if answer.status_code == _PARTIAL:
        match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if match is None or int(match.group(1)) != offset or match.group(2) not in {"*", str(remote.bytes)}:
            raise DamagedError(
                f"{remote.url}: asked for bytes from {offset} on, got {answer.headers.get('Content-Range')!r}"
            )
        return offset
    length = answer.headers.get("Content-Length", str(remote.bytes))
    if length != str(remote.bytes):
        raise TransientError(f"{remote.url}: {length} bytes are announced, {remote.bytes} were before")
    return 0


def _version(answer: httpx.Response) -> tuple[str, str]:
    return answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
