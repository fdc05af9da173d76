"""A damaged file of an index is named, and the index is made again with the decisions that stand."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from phoenix_assets.dedup import store
from phoenix_assets.dedup.columns import open_column, write_column
from phoenix_assets.dedup.config import Granularity
from phoenix_assets.dedup.index import Index
from phoenix_assets.errors import DamagedIndex, LineageError

NEAR = Granularity.NEAR
KINDS = ("state.json", "bridges.npy", "keys", "places", "prints", "ids", "deliveries", "survivors")


def remove(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1 << 3
    path.write_bytes(content)


def make_unreadable(path: Path) -> None:
    path.write_bytes(b"\xff" * path.stat().st_size)


WAYS: tuple[Callable[[Path], None], ...] = (remove, cut, flip, make_unreadable)


@pytest.fixture(scope="module")
def waiting(signature_lake, made_texts, tmp_path_factory) -> Path:
    """The home of a lake with gaps among its numbers, in which a delivery is yet to be decided at `near`."""
    lake = signature_lake(tmp_path_factory.mktemp("waiting"))
    for number, delivery in enumerate("abcd"):
        lake.land(delivery, made_texts(number // 2, 40), source="wiki" if delivery == "b" else "cc")
        if delivery in "bd":
            lake.update()
    lake.gone |= {"a", "d"}  # the last one too: so the last numbers are of nothing
    lake.update()
    lake.land("e", [*made_texts(0, 12), *made_texts(1, 12), *made_texts(2, 40)])
    lake.decide(Granularity.URL)
    lake.decide(Granularity.EXACT)
    return lake.lake.home


@pytest.fixture
def lake(waiting, signature_lake, tmp_path):
    copy = signature_lake(Path(shutil.copytree(waiting, tmp_path / "home")))
    copy.gone |= {"a", "d"}
    return copy


@pytest.fixture(scope="module")
def index_files(waiting, signature_lake) -> dict[str, Path]:
    return signature_lake(waiting).files(NEAR)


def read(files: dict[str, Path]) -> None:
    """Read everything of an index."""
    index = store.load(files, partial(Index, Path(), 14, 84, 32, 64)).index
    for segment in index.segments:
        for name in segment.files:
            segment.load(name)


@pytest.fixture(scope="module")
def undamaged(waiting, signature_lake, tmp_path_factory):
    lake = signature_lake(Path(shutil.copytree(waiting, tmp_path_factory.mktemp("undamaged") / "home")))
    lake.gone |= {"a", "d"}
    before = lake.decisions(NEAR)
    stored = lake.decide(NEAR).stored
    return before, lake.decisions(NEAR), stored.record


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_every_kind_of_damage_to_every_kind_of_file_is_found_and_named(index_files, tmp_path, kind, way):
    name = sorted(name for name in index_files if kind in name)[0]
    path = Path(shutil.copy(index_files[name], tmp_path / Path(name).name))
    way(path)
    with pytest.raises(DamagedIndex, match=kind):
        read({**index_files, name: path})


@pytest.mark.parametrize(
    ("kind", "way"), [("state.json", flip), ("keys", remove), ("prints", flip), ("survivors", cut)]
)
def test_what_is_decided_with_a_damaged_index_is_what_an_undamaged_one_decides(lake, undamaged, kind, way):
    before, after, record = undamaged
    name, path = sorted(item for item in lake.files(NEAR).items() if kind in item[0])[0]
    way(path)
    decided = lake.decide(NEAR)
    assert Path(name).name in decided.damage
    assert decided.damage in lake.said[0]
    assert lake.decisions(NEAR).equals(after)
    assert before.height < after.height
    assert decided.stored.record.content_hash == record.content_hash
    assert decided.stored.record.data_version == record.data_version
    assert decided.stored.record.counts["numbered"] == record.counts["numbered"]
    assert lake.decide(NEAR).damage == ""


def test_a_damaged_index_to_which_nothing_new_comes_is_as_it_was(lake, undamaged):
    lake.decide(NEAR)
    flip(lake.files(NEAR)["state.json"])
    bridges = lake.head(NEAR).record.counts["bridges"]
    again = lake.decide(NEAR)
    assert again.damage
    assert lake.decisions(NEAR).equals(undamaged[1])
    assert again.stored.record.counts["bridges"] == bridges
    assert again.stored.record.counts["added"] == 0


def test_a_damaged_index_before_does_not_stop_the_next_one(lake, undamaged):
    remove(lake.files(Granularity.EXACT)["state.json"])
    lake.decide(NEAR)
    assert lake.decisions(NEAR).equals(undamaged[1])


def test_an_index_whose_decisions_are_damaged_too_is_not_made_of_them(lake):
    remove(lake.files(NEAR)["state.json"])
    shard = lake.lake.shards(lake.head(NEAR).as_input())[0].path
    other = next(path for path in shard.parent.parent.rglob("*.parquet") if path.parent != shard.parent)
    shutil.copy(other, shard)
    with pytest.raises(LineageError, match="phoenix rebuild-index"):
        lake.decide(NEAR)


def test_every_flipped_byte_of_a_small_file_is_found(tmp_path):
    path = tmp_path / "places.npy"
    write_column(path, np.arange(7, dtype=np.int32))
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        with pytest.raises(DamagedIndex, match=r"places\.npy"):
            open_column(path)


def test_a_damaged_block_is_found_when_it_is_read_and_costs_nothing_before(tmp_path):
    path = tmp_path / "prints.npy"
    values = np.random.default_rng(1).integers(0, 2**32, (4000, 112), np.uint32)
    write_column(path, values)
    content = bytearray(path.read_bytes())
    content[1_000_000] ^= 1
    path.write_bytes(content)
    column = open_column(path)
    assert (column.rows(np.arange(2000)) == values[:2000]).all()
    assert np.count_nonzero(column.states) < len(column.states)
    with pytest.raises(
        DamagedIndex, match=r"prints\.npy is damaged: its block of 16384 bytes at byte 999424"
    ):
        column.rows(np.array([1_000_000 // 448]))
    with pytest.raises(DamagedIndex, match=r"prints\.npy"):
        column.whole()
