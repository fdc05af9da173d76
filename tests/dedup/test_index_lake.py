"""The indexes of a group in a real lake: in which order deliveries come, that they leave, and that two come at once."""

import itertools
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.dedup.config import Granularity

PROGRAM = Path(__file__).with_name("signature_lake.py")
URL, EXACT, NEAR = Granularity
BY_PRIORITY = (("wiki", "2024-09-01"), ("cc", "2024-07-01"), ("cc", "2024-08-01"))  # source, received


@pytest.fixture
def new_lake(signature_lake, tmp_path):
    numbers = itertools.count()
    return lambda: signature_lake(tmp_path / f"lake-{next(numbers)}", block=40, segment=100)


def land(lake, texts, number: int) -> None:
    source, received = BY_PRIORITY[number]
    documents = [*texts(0, 15), *texts(number + 1, 15), *texts(number, 15)]
    lake.land(f"d{number}", documents, source=source, received=received)


def decided(lake) -> pl.DataFrame:
    """Return all that is decided on documents, not where it stands in the index."""
    rows = pl.concat([lake.decisions(granularity) for granularity in Granularity])
    return rows.drop("number").sort("granularity", "doc_id")


@pytest.fixture
def at_once(new_lake, made_texts):
    lake = new_lake()
    for number in range(3):
        land(lake, made_texts, number)
    lake.update()
    return lake


def test_deliveries_that_come_one_by_one_by_priority_are_decided_as_all_at_once(
    new_lake, made_texts, at_once
):
    lake = new_lake()
    for number in range(3):
        land(lake, made_texts, number)
        lake.update()
    assert decided(lake).equals(decided(at_once))
    assert lake.kept() == at_once.kept()


def test_in_another_order_one_of_each_cluster_stays_and_a_rebuild_decides_by_priority_again(
    new_lake, made_texts, at_once
):
    lake = new_lake()
    for number in (2, 0, 1):
        land(lake, made_texts, number)
        lake.update()
    assert lake.kept() != at_once.kept()
    assert len(lake.kept()) == len(at_once.kept())
    before = {granularity: lake.head(granularity).record.data_version for granularity in Granularity}
    lake.update(anew=True)
    assert lake.kept() == at_once.kept()
    assert decided(lake).equals(decided(at_once))
    assert {
        granularity: lake.head(granularity).record.data_version for granularity in (EXACT, NEAR)
    } != before


def test_a_rebuild_that_decides_the_same_is_the_same_version(at_once):
    before = [at_once.head(granularity).record.data_version for granularity in Granularity]
    at_once.update(anew=True)
    assert [at_once.head(granularity).record.data_version for granularity in Granularity] == before


@pytest.mark.parametrize("removed", [0, 1])
def test_a_delivery_that_leaves_brings_back_just_its_twins_as_if_it_had_never_come(
    new_lake, made_texts, at_once, removed
):
    kept = at_once.kept()
    at_once.gone.add(f"d{removed}")
    at_once.update()
    never = new_lake()
    for number in {0, 1, 2} - {removed}:
        land(never, made_texts, number)
    never.update()
    assert decided(at_once).equals(decided(never))
    back = at_once.kept() - kept
    assert 0 < len(back) < len(at_once.kept())


def test_what_came_after_the_granularity_before_waits_for_it(new_lake, made_texts):
    lake = new_lake()
    lake.land("d0", made_texts(0, 9))
    lake.update()
    lake.land("d1", made_texts(0, 9))
    lake.decide(NEAR)
    assert set(lake.decisions(NEAR)["delivery"]) == {"d0"}
    lake.update()
    assert set(lake.decisions(NEAR)["delivery"]) == {"d0"}  # all of d1 are exact duplicates
    assert set(lake.decisions(EXACT)["delivery"]) == {"d0", "d1"}


def test_a_build_that_was_overtaken_begins_again_with_what_has_landed_by_then(new_lake, made_texts):
    lake = new_lake()
    lake.land("d0", made_texts(0, 9))
    other = type(lake)(lake.lake.home)
    start, versions = lake.resolved, []

    def overtaken_once(asset, before):
        build = start(asset, before)
        versions.append(build.table_version)
        if len(versions) == 1:
            other.land("d1", made_texts(0, 9))
            other.decide(URL)
        return build

    lake.resolved = overtaken_once
    lake.decide(URL)
    assert versions == [-1, 1]
    assert lake.decisions(URL)["delivery"].value_counts(sort=True)["count"].to_list() == [9, 9]
    [said] = lake.said
    assert "begin again" in said


@pytest.mark.slow
def test_two_deliveries_that_come_at_the_same_moments_are_both_decided(signature_lake, made_texts, tmp_path):
    rounds = 4
    commands = [
        [sys.executable, str(PROGRAM), str(tmp_path), name, str(rounds)] for name in ("left", "right")
    ]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    assert [(process.communicate(timeout=300)[1], process.returncode) for process in processes] == [
        ("", 0)
    ] * 2
    lake = signature_lake(tmp_path)
    landed = {f"{name}-{number}" for name in ("left", "right") for number in range(rounds)}
    for granularity in (URL, EXACT):
        assert set(lake.decisions(granularity)["delivery"]) == landed
    assert len(lake.kept()) == rounds * 24 // 3
    lake.land("later", made_texts(0, 3))
    lake.update()
    assert len(lake.kept()) == rounds * 24 // 3
    assert lake.said == []
