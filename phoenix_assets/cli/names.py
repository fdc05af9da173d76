"""Names as people type them."""

from collections.abc import Iterable

from phoenix_assets.errors import ConfigError


def named(typed: str, names: Iterable[str], what: str) -> str:
    """Return the one of `names` that `typed` is, or is an unambiguous part of. Raises ConfigError with the valid ones."""
    known = list(names)
    if typed in known:
        return typed
    part = typed.lower().replace("-", "_")
    found = [name for name in known if part in name.lower()]
    ends = [name for name in found if name.lower().endswith(f"_{part}")]
    if len(found) == 1 or len(ends) == 1:
        return (found if len(found) == 1 else ends)[0]
    problem = f"{what} {typed!r} may be {', '.join(found)}" if found else f"no {what} {typed!r}"
    raise ConfigError(f"{problem}; there are: {', '.join(known)}")


def named_source(typed: str) -> str:
    """Return `typed` if it is a source. Raises ConfigError with the sources there are."""
    from phoenix_assets.sources import load_sources

    if typed not in load_sources():
        raise ConfigError(f"no source {typed!r}; there are: {', '.join(load_sources())}")
    return typed
