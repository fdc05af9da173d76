"""What operating remembers from one look to the next: one SQLite file, `$PHOENIX_HOME/operations.sqlite`.

Nothing in it is needed to know what the data is or where it came from. When the file is lost, deliveries are looked at
again and alerts are raised again; nothing is made twice, because what was made is known from the lake.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_BUSY_SECONDS: Final = 30
_SCHEMA: Final = """
create table if not exists arrivals (
    place text, source text, delivery text, fingerprint text, standing text, reason text, detail text,
    manifest text, since real, rules text, dealt_with text not null default '',
    primary key (place, source, delivery)
);
create table if not exists claims (work text primary key, claimed real);
create table if not exists cases (name text primary key, version text, alert text);
create table if not exists outbox (number integer primary key autoincrement, alert text);
"""


@contextlib.contextmanager
def operations(home: Path) -> Iterator[sqlite3.Connection]:
    """Open the file in a transaction of its own: other processes wait, and see all of it or nothing."""
    home.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(home / "operations.sqlite", timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        connection.executescript(_SCHEMA)
        connection.execute("begin immediate")
        yield connection
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise
    finally:
        connection.close()


def claim(home: Path, works: Iterable[str], *, seconds: float, now: float) -> set[str]:
    """Return those of `works` that nobody has claimed in the last `seconds`: they are the caller's to ask for.

    A claim only bridges the time until there is a run that carries the work's key.
    """
    with operations(home) as connection:
        connection.execute("delete from claims where abs(? - claimed) >= ?", [now, seconds])
        return {
            work
            for work in works
            if connection.execute("insert or ignore into claims values (?, ?)", [work, now]).rowcount
        }
