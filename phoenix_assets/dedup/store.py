"""How an index is kept: its segments' files, and `state.json`, which says what belongs to it.

A version of an index takes over the files of the one before and adds its own; what is no longer referred to, such as
segments that were merged, is left behind. A file that is missing, cut or changed is found when it is opened, a changed
block of one when it is read (see `columns`): DamagedIndex names it, and `restore` makes the index again.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import xxhash

from phoenix_assets.content_hash import ContentHash
from phoenix_assets.dedup.columns import open_column, write_column
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.segments import COLUMNS, Segment, segment_name
from phoenix_assets.dedup.update import Known
from phoenix_assets.errors import DamagedIndex

KERNEL_VERSION: Final = "2"

STATE: Final = "state.json"
BRIDGES: Final = "bridges.npy"


@dataclass
class Stored:
    """An index, the deliveries that it has decided, and the content of each one's decisions."""

    index: Index
    known: list[Known] = field(default_factory=list)
    contents: list[ContentHash] = field(default_factory=list)  # by delivery number

    @property
    def content(self) -> ContentHash:
        """The content of all decisions."""
        return sum(self.contents, ContentHash())


def contents(files: Mapping[str, Path]) -> dict[tuple[str, str], ContentHash]:
    """Return the content of the decisions on each delivery (source, delivery) of the index in `files`.

    Raises DamagedIndex.
    """
    state = _read_state(files)
    return {
        (known["source"], known["delivery"]): ContentHash(rows, int(total, 16))
        for known, (rows, total) in zip(state["known"], state["contents"], strict=True)
    }


def load(files: Mapping[str, Path], empty: Callable[[], Index]) -> Stored:
    """Return the index in `files` (path by name), put into the one that `empty` makes.

    Raises DamagedIndex naming the file that is missing or is not what was written. What that costs does not depend on
    how much is in the files.
    """
    state = _read_state(files)
    index = empty()
    for entry in state["segments"]:
        folder = segment_name(entry["start"], entry["count"])
        names = {name: f"{folder}/{name}.npy" for name in COLUMNS} | {"survivors": entry["survivors"]}
        paths = {name: _present(files, stored) for name, stored in names.items()}
        segment = Segment(paths, entry["start"], entry["count"])
        for name in paths:
            segment.column(name)
        index.segments.append(segment)
    index.bridges = open_column(_present(files, BRIDGES)).whole().copy()
    contents = [ContentHash(rows, int(total, 16)) for rows, total in state["contents"]]
    return Stored(index, [Known(**known) for known in state["known"]], contents)


def save(stored: Stored, earlier: Mapping[str, Path]) -> set[str]:
    """Write the state into the index's folder, leave only what it refers to there; return the names of all its files."""
    index = stored.index
    inherited = {path: name for name, path in earlier.items()}
    named: dict[Path, str] = {}
    for segment in index.segments:
        for path in segment.files.values():
            named[path] = inherited.get(path) or str(path.relative_to(index.folder))
    for path in [item for item in index.folder.rglob("*.npy") if item not in named]:
        path.unlink()
    write_column(index.folder / BRIDGES, index.bridges)
    segments = [
        {"start": one.start, "count": one.count, "survivors": named[one.files["survivors"]]}
        for one in index.segments
    ]
    state: dict[str, Any] = {
        "segments": segments,
        "known": [asdict(known) for known in stored.known],
        "contents": [(content.rows, f"{content.total:032x}") for content in stored.contents],
    }
    body = json.dumps(state)
    (index.folder / STATE).write_text(f"{_checksum(body)}\n{body}", "utf-8")
    return {*named.values(), STATE, BRIDGES}


def _read_state(files: Mapping[str, Path]) -> dict[str, Any]:
    path = _present(files, STATE)
    try:
        checksum, _, body = path.read_text("utf-8").partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedIndex(f"the index's file {path} cannot be read: {error}") from error
    if checksum != _checksum(body):
        raise DamagedIndex(f"the index's file {path} is damaged: its content is unlike its checksum")
    state: dict[str, Any] = json.loads(body)
    return state


def _checksum(body: str) -> str:
    return xxhash.xxh3_128_hexdigest(body.encode())


def _present(files: Mapping[str, Path], name: str) -> Path:
    path = files.get(name)
    if path is None or not path.is_file():
        raise DamagedIndex(f"the index's file {name} is missing ({path})")
    return path
