"""What may be written, when the rest will fit, and what is remembered of deletions."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from phoenix_assets.errors import StorageError
from resources.storage_budget import Room, StorageBudget, StorageConfig, load_storage, tree_bytes

NOW = datetime(2024, 6, 5, 8, 0, tzinfo=UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def budget(tmp_path: Path) -> Callable[[int], StorageBudget]:
    def of(capacity: int, kept: int = 0) -> StorageBudget:
        settings = StorageConfig(capacity_bytes=capacity, trash_days=7, keep_free_bytes=kept)
        return StorageBudget(tmp_path, settings)

    return of


def write(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def journal_bytes(home: Path) -> int:
    return tree_bytes(home / "storage")


def test_room_is_capacity_less_what_is_used_and_kept_free(tmp_path: Path, budget) -> None:
    write(tmp_path / "lake" / "a", 300)
    assert budget(1000, 100).room(NOW).bytes == 600


def test_what_was_deleted_takes_its_room_until_it_leaves_the_trash(tmp_path: Path, budget) -> None:
    write(tmp_path / "lake" / "a", 200_000)
    write(tmp_path / "lake" / "deep" / "b", 100_000)
    small = budget(1_000_000)
    before = small.room(NOW).bytes
    assert small.delete(tmp_path / "lake", NOW) == 300_000
    assert not (tmp_path / "lake").exists()
    after = small.room(NOW)
    assert after.bytes == before - journal_bytes(tmp_path)
    assert after.waiting == ((NOW + WEEK, 300_000),)
    assert small.room(NOW + WEEK).bytes == before + 300_000 - journal_bytes(tmp_path)


def test_a_refusal_says_how_much_is_missing_and_when_it_will_fit(tmp_path: Path, budget) -> None:
    for number, day in enumerate((NOW - timedelta(days=6), NOW - timedelta(days=2), NOW)):
        budget(1).delete(write(tmp_path / f"old-{number}", 10_000_000), day)
    full = budget(32_000_000)  # 2 MB are free, less the journal
    with pytest.raises(StorageError) as refused, full.reserve("cc/d1", 10_000_000, tmp_path / "d1", NOW):
        pass
    missing = 10_000_000 - full.room(NOW).bytes
    assert f"cc/d1 needs 0.01 GB, 0.00 GB may be written: 0.01 GB ({missing} bytes) are missing" in str(
        refused.value
    )
    assert "It will fit on 2024-06-06 08:00 UTC" in str(refused.value)
    with (
        pytest.raises(StorageError, match="2024-06-10 08:00 UTC"),
        full.reserve("cc/d2", 15_000_000, tmp_path, NOW),
    ):
        pass


def test_what_never_fits_is_said_to_never_fit(tmp_path: Path, budget) -> None:
    budget(1).delete(write(tmp_path / "old", 1000), NOW)
    with (
        pytest.raises(StorageError, match=r"never fit as things are.*raise the capacity"),
        budget(10_000).reserve("cc/d1", 10**9, tmp_path / "d1", NOW),
    ):
        pass


def test_the_date_is_that_of_the_deletion_that_makes_it_fit() -> None:
    days = [NOW + timedelta(days=day) for day in (1, 2, 3)]
    room = Room(10, ((days[0], 5), (days[1], 5), (days[2], 5)))
    assert [room.fits_at(wanted, NOW) for wanted in (10, 11, 15, 16, 25, 26)] == [
        NOW, days[0], days[0], days[1], days[2], None,
    ]  # fmt: skip


def test_two_writers_are_not_promised_the_same_room(tmp_path: Path, budget) -> None:
    shared = budget(100_000)
    with shared.reserve("cc/d1", 60_000, tmp_path / "d1", NOW):
        with (
            pytest.raises(StorageError, match="cc/d2 needs"),
            shared.reserve("cc/d2", 60_000, tmp_path / "d2", NOW),
        ):
            pass
        free = shared.room(NOW).bytes
        write(tmp_path / "d1" / "part", 20_000)  # a promise that is being kept is not counted twice
        assert shared.room(NOW).bytes == free
    assert shared.room(NOW).bytes == free + 40_000 + len('{"folder":"","bytes":60000}') + len(
        str(tmp_path / "d1")
    )


def test_what_has_arrived_already_needs_no_room(tmp_path: Path, budget) -> None:
    write(tmp_path / "d1" / "part", 80_000)
    with budget(100_000).reserve("cc/d1", 90_000, tmp_path / "d1", NOW):
        pass


def test_one_delivery_is_written_by_one_run(tmp_path: Path, budget) -> None:
    with (
        budget(1000).reserve("cc/d1", 1, tmp_path / "d1", NOW),
        pytest.raises(StorageError, match="another run"),
        budget(1000).reserve("cc/d1", 1, tmp_path / "d1", NOW),
    ):
        pass
    with budget(1000).reserve("cc/d1", 1, tmp_path / "d1", NOW):
        pass


def test_the_promise_to_a_writer_that_was_killed_ends_with_it(tmp_path: Path, budget) -> None:
    program = (
        "import os, signal, sys, datetime as d; from pathlib import Path\n"
        "from resources.storage_budget import StorageBudget, StorageConfig\n"
        "home = Path(sys.argv[1])\n"
        "config = StorageConfig(capacity_bytes=100_000, trash_days=7, keep_free_bytes=0)\n"
        "with StorageBudget(home, config).reserve('cc/d1', 60_000, home / 'd1', d.datetime.now(d.UTC)):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], timeout=60).returncode == -9
    assert (tmp_path / "storage" / "reserved" / "cc.d1.json").read_text()
    with budget(100_000).reserve("cc/d2", 60_000, tmp_path / "d2", NOW):
        pass


def test_a_line_that_a_crash_cut_short_stands_for_no_deletion(tmp_path: Path, budget) -> None:
    budget(1).delete(write(tmp_path / "a", 1000), NOW)
    journal = tmp_path / "storage" / "trash.jsonl"
    with journal.open("a") as file:
        file.write('\n{"path": "lake/b", "byt')
    budget(1).delete(write(tmp_path / "c", 500), NOW)
    assert budget(10**6).room(NOW).waiting == ((NOW + WEEK, 500), (NOW + WEEK, 1000))


def test_a_file_with_two_names_is_counted_once(tmp_path: Path) -> None:
    os.link(write(tmp_path / "a", 1000), tmp_path / "b")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    assert tree_bytes(tmp_path) == 1000 + len(str(tmp_path / "a"))
    assert tree_bytes(tmp_path / "nothing") == 0


def test_without_a_capacity_the_file_system_says_what_is_free(tmp_path: Path) -> None:
    system = os.statvfs(tmp_path)
    settings = StorageConfig(trash_days=7, keep_free_bytes=0)
    room = StorageBudget(tmp_path / "home", settings).room(NOW)
    assert 0 < room.bytes <= system.f_blocks * system.f_frsize
    assert room.waiting == ()


def test_the_projects_own_settings_keep_deletions_for_a_week() -> None:
    assert load_storage().trash_days == 7
