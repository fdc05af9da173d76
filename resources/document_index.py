"""Where a document is: from its id or its address to the delivery, without reading through the lake.

The model:
- A *key* is the first 8 bytes of a doc_id, or of the hash of a canonical address; both are spread evenly. Its *value* is
  the number of the extracted delivery that has the document.
- Keys lie sorted in *runs*, memory-mapped; a look-up is a bisection of each. A delivery adds a run, and runs are merged so
  that their sizes fall at least by half: there are few of them, however many deliveries come.
- All of it follows from the lake. What is new there is added before each look-up; what is damaged is made again. A hit is
  a hint, no more: who looks a document up reads it in the lake.
"""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from phoenix_assets.config import config_dir, digest, load
from phoenix_assets.dedup.config import DedupConfig
from phoenix_assets.dedup.urls import url_hash
from phoenix_assets.lineage import InputVersion, SideTable, StoredRecord
from phoenix_assets.schema import Stage
from phoenix_assets.tokens.trace import TraceIndex
from resources.lake import Lake
from resources.ledger import LineageLedger
from training_jobs.atomic_file import write_atomically

_MERGED_KEYS: Final = 1 << 26  # runs grow no larger by merging: 800 MB
_HELD_KEYS: Final = 1 << 22  # of new deliveries, in memory before they are written as a run
_STATE: Final = "state.json"
_UNREADABLE: Final = (OSError, pl.exceptions.PolarsError)

FoundT = TypeVar("FoundT")

Keys = npt.NDArray[np.uint64]
Values = npt.NDArray[np.uint32]


def keys_of(ids: pl.Series) -> Keys:
    """Return the keys of doc_ids (32 hex digits) or of 16-byte hashes."""
    raw = ids.str.decode("hex") if ids.dtype == pl.String else ids
    return raw.bin.slice(0, 8).bin.reinterpret(dtype=pl.UInt64, endianness="big").to_numpy()


def _key(doc_id: str) -> int:
    return int(doc_id[:16], 16)


@dataclass(frozen=True)
class KeyRuns:
    """Sorted runs of keys with their values, in a folder of their own."""

    folder: Path

    def find(self, key: int) -> list[int]:
        """Return the values of a key, each once, ascending. Raises OSError or ValueError for a damaged run."""
        wanted, found = np.uint64(key), set()
        for keys, values in map(self._open, self._names()):
            first = int(np.searchsorted(keys, wanted, side="left"))
            while first < len(keys) and keys[first] == wanted:
                found.add(int(values[first]))
                first += 1
        return sorted(found)

    def add(self, keys: Keys, values: Values) -> None:
        """Add a run, and merge small ones. Who adds holds the lock of the index."""
        if not len(keys):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write(keys, values)
        while len(names := self._names()) > 1:
            counts = [int(name.partition("-")[2]) for name in names[-2:]]
            if counts[0] > 2 * counts[1] or sum(counts) > _MERGED_KEYS:
                return
            keys, values = (np.concatenate(part) for part in zip(*map(self._open, names[-2:]), strict=True))
            self._write(keys, values, instead=names[-2:])

    def _write(self, keys: Keys, values: Values, instead: Sequence[str] = ()) -> None:
        left = [name for name in self._names() if name not in instead]
        number = int(left[-1].partition("-")[0]) + 1 if left else 0
        name, order = f"{number:06d}-{len(keys)}", np.argsort(keys, kind="stable")
        np.save(self.folder / f"{name}.keys.npy", keys[order], allow_pickle=False)
        np.save(self.folder / f"{name}.values.npy", values[order], allow_pickle=False)
        write_atomically(self.folder / _STATE, json.dumps([*left, name]))
        for old in instead:
            for path in self.folder.glob(f"{old}.*.npy"):
                path.unlink()

    def _names(self) -> list[str]:
        state = self.folder / _STATE
        return list(json.loads(state.read_text("utf-8"))) if state.is_file() else []

    def _open(self, name: str) -> tuple[Keys, Values]:
        keys, values = (
            np.load(self.folder / f"{name}.{column}.npy", mmap_mode="r", allow_pickle=False)
            for column in ("keys", "values")
        )
        if not len(keys) == len(values) == int(name.partition("-")[2]):
            raise ValueError(f"{self.folder / name}: the run is cut short")
        return keys, values


@dataclass(frozen=True)
class TokenPlaces:
    """Where a document may be in token shards: (shard, position), and where each shard's tokens begin in the split."""

    starts: list[int]
    places: list[tuple[int, int]]


class DocumentIndex:
    """The index of the documents of a lake, under `$PHOENIX_HOME/documents`. Safe for several processes."""

    def __init__(self, lake: Lake, ledger: LineageLedger) -> None:
        self.lake, self.ledger = lake, ledger
        self.folder = lake.home / "documents"
        self._tracking = load(DedupConfig, config_dir() / "dedup.yaml").tracking_parameters

    def deliveries_of(self, doc_id: str) -> list[InputVersion]:
        """Return every extracted version of the delivery that may hold a document, the latest indexed last."""
        return self._find("ids", np.array([_key(doc_id)], np.uint64))

    def deliveries_with(self, url: str) -> list[InputVersion]:
        """Return every extracted version of each delivery that may hold a page of this address."""
        return self._find("urls", keys_of(url_hash(pl.Series([url]), self._tracking).drop_nulls()))

    def same_address(self, urls: pl.Series, url: str) -> pl.Series:
        """Return which of `urls` are the same address, canonically."""
        [wanted] = url_hash(pl.Series([url]), self._tracking)
        return url_hash(urls, self._tracking).is_in([wanted] if wanted is not None else []).fill_null(False)

    def in_tokens(self, tokens: StoredRecord, trace: Callable[[], TraceIndex], doc_id: str) -> TokenPlaces:
        """Return where in a `trace` of `tokens` a document may be; the trace is indexed at the first call."""
        folder = self.folder / f"tokens-{tokens.record.data_version}"

        def ask() -> TokenPlaces:
            if not (folder / "shards.json").is_file():
                _index_trace(folder, trace())
            shards = json.loads((folder / "shards.json").read_text("utf-8"))
            found = np.array(KeyRuns(folder).find(_key(doc_id)), np.int64)
            ends = np.cumsum(shards["documents"], dtype=np.int64)
            numbers = np.searchsorted(ends, found, side="right")
            firsts = np.concatenate([np.zeros(1, np.int64), ends])[numbers]
            places = zip(numbers.tolist(), (found - firsts).tolist(), strict=True)
            return TokenPlaces(shards["starts"], list(places))

        return self._healed(folder, ask)

    def holding_copies(self, index: StoredRecord, doc_id: str) -> list[Path]:
        """Return the files of a dedup index's decisions that may say of some document that it is a copy of `doc_id`."""
        folder = self.folder / "copies" / digest(index.record.asset)
        home = self.lake.table_dir(index.record.asset)

        def ask() -> list[Path]:
            listed = folder / "files.json"
            known: dict[str, Any] = (
                json.loads(listed.read_text("utf-8")) if listed.is_file() else {"files": []}
            )
            if known.get("storage_version") != index.storage_version:
                _index_copies(folder, home, known["files"], self._names(index))
                known["storage_version"] = index.storage_version
                write_atomically(listed, json.dumps(known))
            found = [known["files"][number] for number in KeyRuns(folder).find(_key(doc_id))]
            return [home / name for name in found if name in self._names(index)]

        return self._healed(folder, ask)

    def _names(self, index: StoredRecord) -> set[str]:
        home = str(self.lake.table_dir(index.record.asset))
        return {str(shard.path).removeprefix(f"{home}/") for shard in self.lake.shards(index.as_input())}

    def forget(self) -> None:
        """Remove the index; the next look-up makes it again."""
        with self._locked():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _find(self, kind: str, keys: Keys) -> list[InputVersion]:
        def ask() -> list[InputVersion]:
            deliveries = self._updated()
            found = [value for key in keys.tolist() for value in KeyRuns(self.folder / kind).find(key)]
            return [deliveries[value] for value in found if value < len(deliveries)]

        return self._healed(self.folder, ask)

    def _healed(self, folder: Path, ask: Callable[[], FoundT]) -> FoundT:
        """Return what `ask` does, alone; once more without `folder` when a file there is damaged or half written."""
        with self._locked():
            try:
                return ask()
            except (OSError, ValueError, LookupError, TypeError):
                shutil.rmtree(folder, ignore_errors=True)
                return ask()

    def _updated(self) -> list[InputVersion]:
        """Index the deliveries that were extracted since; return those of all numbers."""
        version, path = digest(list(self._tracking)), self.folder / "deliveries.json"
        known: list[InputVersion] = []
        with contextlib.suppress(OSError, ValueError):
            state = json.loads(path.read_text("utf-8"))
            if state["version"] == version:
                known = [InputVersion.model_validate(one) for one in state["deliveries"]]
        if not known:
            shutil.rmtree(self.folder, ignore_errors=True)
        new = self._extracted_besides(set(known))
        if new:
            self.folder.mkdir(parents=True, exist_ok=True)
            known += [one.as_input() for one in new]
            self._add(new, len(known) - len(new))
            body = {"version": version, "deliveries": [one.model_dump(mode="json") for one in known]}
            write_atomically(path, json.dumps(body))
        return known

    def _extracted_besides(self, known: Collection[InputVersion]) -> list[StoredRecord]:
        """Return the versions of extracted deliveries that are not `known` yet, oldest first."""
        assets = self.lake.assets_called(Stage.EXTRACTED)
        heads = (one for partitions in self.ledger.all_heads(assets).values() for one in partitions.values())
        if all(one.as_input() in known for one in heads):
            return []
        return [one for one in reversed(self.ledger.history(assets)) if one.as_input() not in known]

    def _add(self, new: Sequence[StoredRecord], first: int) -> None:
        ids, urls = _Held(KeyRuns(self.folder / "ids")), _Held(KeyRuns(self.folder / "urls"))
        for number, stored in enumerate(new, first):
            ledger = stored.record.side_tables[SideTable.LEDGER]
            with contextlib.suppress(
                *_UNREADABLE
            ):  # what was removed from the lake is not to be found any more
                ids.add(keys_of(self.lake.read(ledger).select("doc_id").collect().to_series()), number)
                addresses = self.lake.read(stored.as_input()).select("url").collect().to_series()
                urls.add(keys_of(url_hash(addresses, self._tracking).drop_nulls()), number)
        ids.write()
        urls.write()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.lake.home / "documents.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _index_trace(folder: Path, trace: TraceIndex) -> None:
    """Index a trace by position; how many documents and tokens its shards have is noted last."""
    shutil.rmtree(folder, ignore_errors=True)
    parts = [np.ascontiguousarray(ids[:, :8]).view(">u8").ravel() for ids in trace.raw_ids()]
    keys = np.concatenate([np.empty(0, np.uint64), *parts]).astype(np.uint64)
    folder.mkdir(parents=True)
    KeyRuns(folder).add(keys, np.arange(len(keys), dtype=np.uint32))
    shards = {"starts": list(trace.starts), "documents": [len(part) for part in parts]}
    write_atomically(folder / "shards.json", json.dumps(shards))


def _index_copies(folder: Path, home: Path, known: list[str], current: set[str]) -> None:
    """Index those files of decisions below `home` that are not `known` yet by what documents are copies of."""
    folder.mkdir(parents=True, exist_ok=True)
    held = _Held(KeyRuns(folder))
    for name in sorted(current.difference(known)):
        copies = pl.scan_parquet(home / name).select(pl.col("duplicate_of").drop_nulls()).collect()
        held.add(keys_of(copies.to_series()), len(known))
        known.append(name)
    held.write()


class _Held:
    """Keys on their way into a run, so that small deliveries share one."""

    def __init__(self, runs: KeyRuns) -> None:
        self.runs = runs
        self.keys: list[Keys] = []
        self.values: list[Values] = []

    def add(self, keys: Keys, value: int) -> None:
        self.keys.append(keys)
        self.values.append(np.full(len(keys), value, np.uint32))
        if sum(map(len, self.keys)) >= _HELD_KEYS:
            self.write()

    def write(self) -> None:
        if self.keys:
            self.runs.add(np.concatenate(self.keys), np.concatenate(self.values))
            self.keys, self.values = [], []
