"""Canonical addresses: what is left of a URL when all that does not say which page it is has been taken away.

WHATWG URL normalisation (host in lower case, default port and dot segments gone, percent-encoding unified) by ada, the
parser of Node.js; then, a column at a time: no scheme, no `www.`, no fragment, no tracking parameters, the others in
order, no index file and no slash at the end.
"""

from collections.abc import Sequence
from typing import Final

import ada_url
import polars as pl
import pyarrow as pa
import xxhash

KERNEL_VERSION: Final = "1"

_WEB: Final = r"^(?i)https?://."
_FRONT: Final = r"^https?://(?:www\d?\.)?"
_INDEX_FILE: Final = r"/(?:index|default)\.(?:html?|php|aspx?|jsp)$"


def canonical_url(url: pl.Series, tracking: Sequence[str]) -> pl.Series:
    """Return the canonical form of web addresses, null for what is none.

    `tracking` are regular expressions of the names of query parameters that do not say which page it is.
    """
    clean = pl.col("url").str.strip_chars()
    web = pl.select(url=pl.Series("url", url, pl.String)).select(
        pl.when(clean.str.contains(_WEB)).then(clean).alias("url")
    )
    normalized = pl.Series("url", [_normalized(one) for one in web["url"]], pl.String)
    parts = normalized.to_frame().select(
        path=pl.col("url")
        .str.replace(_FRONT, "")
        .str.replace(r"[?#].*$", "")
        .str.replace(_INDEX_FILE, "")
        .str.strip_chars_end("/"),
        query=pl.col("url").str.extract(r"\?([^#]*)", 1).fill_null("").str.split("&"),
    )
    noise = "^(?:" + "|".join(f"(?:{pattern})" for pattern in (*tracking, "$")) + r")(?:=|$)"
    named = pl.element().filter(~pl.element().str.contains(noise) & (pl.element() != "")).sort()
    query = pl.col("query").list.eval(named).list.join("&")
    return parts.select(
        url=pl.when(query == "").then("path").otherwise(pl.concat_str("path", pl.lit("?"), query))
    ).to_series()


def url_hash(url: pl.Series, tracking: Sequence[str]) -> pl.Series:
    """Return XXH3-128 of each canonical address: `url_hash`, Binary of 16 bytes, null for what is no web address."""
    digest = xxhash.xxh3_128_digest
    canonical = canonical_url(url, tracking)
    hashes = [None if one is None else digest(one) for one in canonical.cast(pl.Binary)]
    return pl.Series("url_hash", pl.from_arrow(pa.array(hashes, pa.large_binary())))


def _normalized(url: str | None) -> str | None:
    if url is None:
        return None
    try:
        return str(ada_url.normalize_url(url))
    except ValueError:
        return None
