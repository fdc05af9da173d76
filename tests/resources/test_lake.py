"""The lake: one commit replaces one partition, whoever else commits, and whenever a process dies."""

import multiprocessing
import os
import signal
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from phoenix_assets.content_hash import content_hash, file_sha256
from phoenix_assets.errors import LineageError, Overtaken
from phoenix_assets.lineage import InputVersion
from resources.lake import FILES, Lake, stage

ASSET = "cc/filtered"
SCHEMA = pl.Schema({"doc_id": pl.String, "delivery": pl.String, "tags": pl.List(pl.String)})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path)


def rows(delivery: str, *doc_ids: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"doc_id": doc_ids, "delivery": [delivery] * len(doc_ids), "tags": [["zh"]] * len(doc_ids)},
        schema=SCHEMA,
    )


def put(lake: Lake, delivery: str, *doc_ids: str) -> int:
    frame = rows(delivery, *doc_ids)
    staged = [stage(lake.table_dir(ASSET), frame, column="delivery", partition=delivery)] if doc_ids else []
    return lake.commit(ASSET, SCHEMA, staged, column="delivery", partitions=[delivery])


def version(delivery: str, storage_version: int) -> InputVersion:
    return InputVersion(asset=ASSET, partition=delivery, data_version="any", storage_version=storage_version)


def found(lake: Lake, delivery: str, storage_version: int | None = None) -> list[str]:
    place = lake.version(ASSET) if storage_version is None else storage_version
    return sorted(lake.read(version(delivery, place)).collect()["doc_id"])


def test_a_commit_replaces_its_own_partition_and_no_other(lake: Lake) -> None:
    put(lake, "d1", "a", "b")
    put(lake, "d2", "c")
    put(lake, "d1", "x")
    assert (found(lake, "d1"), found(lake, "d2")) == (["x"], ["c"])


def test_a_commit_of_nothing_empties_its_partition(lake: Lake) -> None:
    put(lake, "d1", "a")
    put(lake, "d2", "c")
    put(lake, "d1")
    assert (found(lake, "d1"), found(lake, "d2")) == ([], ["c"])


def test_a_commit_that_must_come_after_a_version_is_refused_after_another_one(lake: Lake) -> None:
    first = put(lake, "d1", "a")
    second = put(lake, "d2", "b")
    staged = [stage(lake.table_dir(ASSET), rows("d1", "c"), column="delivery", partition="d1")]
    replace = partial(lake.commit, ASSET, SCHEMA, staged, column="delivery", partitions=["d1"])
    with pytest.raises(Overtaken, match=f"at version {second}, not {first} any more"):
        replace(after=first)
    with pytest.raises(Overtaken):
        replace(after=-1)
    assert replace(after=second) == second + 1
    assert (found(lake, "d1"), found(lake, "d2")) == (["c"], ["b"])


def test_an_old_storage_version_is_read_as_it_was(lake: Lake) -> None:
    first = put(lake, "d1", "a", "b")
    second = put(lake, "d1", "c")
    assert found(lake, "d1", first) == ["a", "b"]
    assert found(lake, "d1", second) == ["c"]


def test_a_table_without_partitions_is_replaced_whole(lake: Lake) -> None:
    frame = pl.DataFrame({"n": [1, 2]})
    for part in (frame, frame.head(1)):
        staged = stage(lake.table_dir("leaderboard"), part, column=None, partition="")
        at = lake.commit("leaderboard", frame.schema, [staged], column=None, partitions=[""])
    source = InputVersion(asset="leaderboard", data_version="any", storage_version=at)
    assert lake.read(source).collect()["n"].to_list() == [1]


def test_shards_hold_the_rows_with_their_partition_value_and_come_in_a_stable_order(lake: Lake) -> None:
    folder = lake.table_dir(ASSET)
    parts = [rows("d1", name) for name in "abcd"]
    staged = [stage(folder, part, column="delivery", partition="d1") for part in parts]
    at = lake.commit(ASSET, SCHEMA, reversed(staged), column="delivery", partitions=["d1"])
    shards = lake.shards(version("d1", at))
    assert sorted(shard.read().select("doc_id", "delivery").row(0) for shard in shards) == [
        (name, "d1") for name in "abcd"
    ]
    names = [shard.path.name for shard in shards]
    again = [stage(folder, part, column="delivery", partition="d1") for part in parts]
    at = lake.commit(ASSET, SCHEMA, again, column="delivery", partitions=["d1"])
    order = [shard.path.name.rpartition("-")[0] for shard in lake.shards(version("d1", at))]
    assert order == [name.rpartition("-")[0] for name in names]


def test_a_staged_file_carries_the_hash_of_its_rows_without_the_partition_column(lake: Lake) -> None:
    frame = rows("d1", "a", "b")
    staged = stage(lake.table_dir(ASSET), frame, column="delivery", partition="d1")
    assert staged.content == content_hash(frame.drop("delivery"))


def test_the_lake_lists_its_tables(lake: Lake) -> None:
    put(lake, "d1", "a")
    frame = pl.DataFrame({"n": [1]})
    staged = stage(lake.table_dir("leaderboard"), frame, column=None, partition="")
    lake.commit("leaderboard", frame.schema, [staged], column=None, partitions=[""])
    assert lake.assets() == [ASSET, "leaderboard"]
    assert lake.version(ASSET) == DeltaTable(str(lake.table_dir(ASSET))).version()
    assert lake.version("wiki/raw") == -1


def commit_own_partition(home: Path, number: int, times: int, ready: object) -> None:
    lake = Lake(home)
    ready.wait()
    for attempt in range(times):
        put(lake, f"d{number}", *(f"{number}-{attempt}-{row}" for row in range(attempt + 1)))


def test_processes_that_commit_their_own_partitions_lose_nothing(lake: Lake) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(6)
    processes = [
        spawn.Process(target=commit_own_partition, args=(lake.home, number, 3, ready)) for number in range(6)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 6
    for number in range(6):
        assert found(lake, f"d{number}") == [f"{number}-2-{row}" for row in range(3)]
    history = DeltaTable(str(lake.table_dir(ASSET))).history()
    assert sum("phoenix.commit" in commit for commit in history) == 18


def commit_the_same_partition(home: Path, number: int, ready: object) -> None:
    ready.wait()
    for attempt in range(3):
        put(Lake(home), "d", f"{number}-{attempt}-a", f"{number}-{attempt}-b")


def test_of_processes_that_commit_the_same_partition_the_last_one_wins_whole(lake: Lake) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Barrier(3)
    processes = [
        spawn.Process(target=commit_the_same_partition, args=(lake.home, number, ready))
        for number in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 3
    winner = found(lake, "d")[0].partition("-")[0]
    assert found(lake, "d") == [f"{winner}-2-a", f"{winner}-2-b"]


def test_a_column_that_a_new_code_version_adds_is_null_in_partitions_made_before(lake: Lake) -> None:
    put(lake, "d1", "a")
    wider = pl.Schema({**SCHEMA, "quality": pl.Float64})
    frame = rows("d2", "b").with_columns(quality=pl.lit(0.5))
    staged = stage(lake.table_dir(ASSET), frame, column="delivery", partition="d2")
    at = lake.commit(ASSET, wider, [staged], column="delivery", partitions=["d2"])
    assert lake.read(version("d2", at)).collect()["quality"].to_list() == [0.5]
    assert lake.read(version("d1", at)).collect()["quality"].to_list() == [None]
    assert "quality" not in lake.read(version("d1", at - 1)).collect_schema()


def stage_and_die(home: Path) -> None:
    stage(Lake(home).table_dir(ASSET), rows("d1", "new"), column="delivery", partition="d1")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_killed_between_staging_and_commit_leaves_the_table_as_it_was(lake: Lake) -> None:
    before = put(lake, "d1", "old")
    process = multiprocessing.get_context("spawn").Process(target=stage_and_die, args=(lake.home,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(list((lake.table_dir(ASSET) / "delivery=d1").iterdir())) == 2  # the file is there, unseen
    assert lake.version(ASSET) == before
    assert found(lake, "d1") == ["old"]
    put(lake, "d1", "next")
    assert found(lake, "d1") == ["next"]


def test_stored_files_keep_their_names_and_are_found_by_them(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "weights").mkdir(parents=True)
    (folder / "config.json").write_text("{}", "utf-8")
    (folder / "weights" / "a.bin").write_bytes(b"\x00\x01")
    checksum = file_sha256(folder / "weights" / "a.bin")
    files = lake.store_files("models/lid", folder)
    assert files["path"].to_list() == ["config.json", "weights/a.bin"]
    staged = stage(lake.table_dir("models/lid"), files, column=None, partition="")
    at = lake.commit("models/lid", FILES, [staged], column=None, partitions=[""])
    source = InputVersion(asset="models/lid", data_version="any", storage_version=at)
    stored = lake.stored_file(source, "weights/a.bin")
    assert stored.read_bytes() == b"\x00\x01" and file_sha256(stored) == checksum
    assert stored.parent.parent == lake.stored_file(source, "config.json").parent
    assert stored.parent.parent == lake.files_folder(source)
    with pytest.raises(LineageError, match=r"models/lid: no file named 'b\.bin' at version 1"):
        lake.stored_file(source, "b.bin")


def test_the_same_files_are_stored_in_the_same_place(lake: Lake, tmp_path: Path) -> None:
    places = []
    for attempt in range(2):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        (folder / "m.bin").write_bytes(b"weights")
        places.append(lake.store_files("models/lid", folder)["stored_at"].to_list())
    assert places[0] == places[1]


def test_scratch_folders_vanish_with_what_was_left_in_them(lake: Lake) -> None:
    with lake.scratch() as folder:
        (Path(folder) / "half-written").write_bytes(b"x")
    assert not Path(folder).exists()
