"""How an index is kept: its segments' files, and `state.json`, which says what belongs to it.

A version of an index takes over the files of the one before and adds its own; what is no longer referred to, such as
segments that were merged, is left behind.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from phoenix_assets.content_hash import ContentHash
from phoenix_assets.dedup.index import Index
from phoenix_assets.dedup.segments import COLUMNS, Segment, segment_name
from phoenix_assets.dedup.update import Known
from phoenix_assets.errors import LineageError

KERNEL_VERSION: Final = "1"

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


def contents(files: Mapping[str, Path]) -> dict[tuple[str, str], str]:
    """Return the data version of the decisions on each delivery (source, delivery) of the index in `files`."""
    state = json.loads(_present(files, STATE).read_text("utf-8"))
    return {
        (known["source"], known["delivery"]): ContentHash(rows, int(total, 16)).data_version
        for known, (rows, total) in zip(state["known"], state["contents"], strict=True)
    }


def load(files: Mapping[str, Path], empty: Callable[[], Index]) -> Stored:
    """Return the index in `files` (path by name), put into the one that `empty` makes.

    Raises LineageError naming the file that is missing or is not what it should be.
    """
    state = json.loads(_present(files, STATE).read_text("utf-8"))
    index = empty()
    for entry in state["segments"]:
        folder = segment_name(entry["start"], entry["count"])
        names = {name: f"{folder}/{name}.npy" for name in COLUMNS} | {"survivors": entry["survivors"]}
        paths = {name: _present(files, stored) for name, stored in names.items()}
        index.segments.append(_checked(Segment(paths, entry["start"], entry["count"])))
    index.bridges = np.load(_present(files, BRIDGES), allow_pickle=False)
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
    np.save(index.folder / BRIDGES, index.bridges, allow_pickle=False)
    segments = [
        {"start": one.start, "count": one.count, "survivors": named[one.files["survivors"]]}
        for one in index.segments
    ]
    state: dict[str, Any] = {
        "segments": segments,
        "known": [asdict(known) for known in stored.known],
        "contents": [(content.rows, f"{content.total:032x}") for content in stored.contents],
    }
    (index.folder / STATE).write_text(json.dumps(state), "utf-8")
    return {*named.values(), STATE, BRIDGES}


def _present(files: Mapping[str, Path], name: str) -> Path:
    path = files.get(name)
    if path is None or not path.is_file():
        raise LineageError(
            f"the index's file {name} is missing ({path}); restore it, or remove the table to decide all anew"
        )
    return path


def _checked(segment: Segment) -> Segment:
    for name, path in segment.files.items():
        try:
            column = segment.load(name)
        except (ValueError, OSError) as error:
            raise LineageError(f"the index's file {path} is damaged: {error}") from error
        documents = column.shape[1] if name in ("keys", "places") else column.shape[0]
        if documents != segment.count:
            raise LineageError(f"the index's file {path} has {documents} documents, not {segment.count}")
    return segment
