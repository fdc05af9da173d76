"""The command line: what the Dagster UI does not do. One module a theme, each adding its commands to `main`.

A new theme is a module beside these: `from phoenix_assets.cli.main import main`, its commands decorated with
`@main.command()` (or a group of its own with `@main.group()`), and its name in the list below. Everything that is
heavy to import is imported inside the commands: `phoenix --help` must be there at once.
"""

from phoenix_assets.cli import (
    audit,
    backfill,
    banding,
    check_text,
    compare,
    crawl,
    deliveries,
    drops,
    erase,
    gc,
    ledger,
    mixture,
    openlineage,
    quarantine,
    rebuild,
    rebuild_index,
    rescore,
    thresholds,
    trace,
    ui,
)
from phoenix_assets.cli.main import main

__all__ = [
    "audit",
    "backfill",
    "banding",
    "check_text",
    "compare",
    "crawl",
    "deliveries",
    "drops",
    "erase",
    "gc",
    "ledger",
    "main",
    "mixture",
    "openlineage",
    "quarantine",
    "rebuild",
    "rebuild_index",
    "rescore",
    "thresholds",
    "trace",
    "ui",
]
