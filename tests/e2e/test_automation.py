"""What the sensors start by themselves, with the real daemon: exactly what a delivery touches."""

import shutil
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SOURCE, DELIVERY = "book", "sanguo-vol2"
RUN_SECONDS = 240
TICKS = 3  # of the automation sensor, without anything to do: then it is quiet


def test_a_corpus_that_is_up_to_date_stays_as_it_is(dagster: Any) -> None:
    dagster.wait("quiet", lambda: dagster.is_quiet(TICKS), seconds=RUN_SECONDS)
    assert [run.run_id for run in dagster.instance.get_runs() if "dagster/sensor_name" in run.tags] == []


def test_a_new_delivery_flows_through_its_own_partitions_and_nothing_else_reruns(dagster: Any) -> None:
    before = dagster.cursor()
    (dagster.home.path / "held-back" / "landing" / SOURCE / DELIVERY).rename(
        dagster.home.landing / SOURCE / DELIVERY
    )
    dagster.wait("tokens/v3", lambda: dagster.is_made("tokens/v3", before), seconds=RUN_SECONDS)
    dagster.wait("quiet", lambda: dagster.is_quiet(TICKS), seconds=RUN_SECONDS)
    assert dagster.made_since(before) == [
        *(
            f"{SOURCE}/{stage}[{DELIVERY}]"
            for stage in ("raw", "extracted", "normalized", "filtered", "signatures")
        ),
        *(f"dedup/book/{granularity}" for granularity in ("url", "exact", "near")),
        *(f"{SOURCE}/{stage}[{DELIVERY}]" for stage in ("deduped", "paragraphs")),
        "dedup/book/paragraphs",
        f"{SOURCE}/sentences[{DELIVERY}]",
        "dedup/book/sentences",
        *(f"{SOURCE}/{stage}[{DELIVERY}]" for stage in ("trimmed", "tagged")),
        "mix/v3",
        "tokens/v3",
    ]
    dagster.fail_on_failed_runs()


def test_the_same_bytes_again_are_only_registered_again(dagster: Any) -> None:
    before = dagster.cursor()
    landed = dagster.home.landing / SOURCE / DELIVERY
    copied = landed.with_name(f".{DELIVERY}")
    shutil.copytree(landed, copied, copy_function=shutil.copyfile)  # new modification times
    landed.rename(landed.with_name(f".{DELIVERY}.old"))
    copied.rename(landed)
    raw = f"{SOURCE}/raw[{DELIVERY}]"
    dagster.wait("raw", lambda: raw in dagster.made_since(before), seconds=RUN_SECONDS)
    dagster.wait("quiet", lambda: dagster.is_quiet(TICKS), seconds=RUN_SECONDS)
    assert dagster.made_since(before) == [raw]


def test_a_bad_delivery_is_quarantined_and_starts_nothing(dagster: Any) -> None:
    before = dagster.cursor()
    bad = dagster.home.landing / SOURCE / "sanguo-vol3"
    bad.mkdir()
    (bad / "delivery.yaml").write_text("source: book\ndelivery: ../../elsewhere\n")
    table = dagster.home.path / "lake" / "quarantine" / "landing" / "_delta_log"
    dagster.wait("quarantine", table.is_dir, seconds=RUN_SECONDS)
    assert "book/sanguo-vol3/delivery.yaml: bad_manifest" in dagster.home.phoenix("quarantine")
    dagster.wait("quiet", lambda: dagster.is_quiet(TICKS), seconds=RUN_SECONDS)
    assert dagster.made_since(before) == []
