"""What a change touches: exactly what it must, and after it nothing is stale."""

import argparse
import difflib
import inspect
import json
import os
import re
import shutil
import textwrap
from datetime import date
from pathlib import Path

import pytest
import yaml

from phoenix_assets.config import config_dir
from phoenix_assets.ingest.delivery import DeliveryManifest, Licence, Use, describe, write_manifest

QA = "debian-faq-2024-06"
INDEXES = {(f"dedup/general/{level}", "") for level in ("url", "exact", "near", "paragraphs", "sentences")}


def deliver(home, source: str, delivery: str, format: str, **files: bytes) -> Path:
    folder = home.path / "landing" / source / delivery
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    manifest = DeliveryManifest(
        source=source,
        delivery=delivery,
        vendor="a vendor",
        licence=Licence(id="CC-BY-4.0", allows=(Use.PRETRAINING,)),
        received=date(2024, 8, 1),
        format=format,
        files=tuple(describe(folder, name) for name in sorted(files)),
    )
    write_manifest(folder, manifest)
    return folder


def questions(count: int) -> bytes:
    """Return question and answer records about the standard library, answered by its own documentation."""
    texts = {
        f"{module.__name__}.{name}": inspect.getdoc(member) or ""
        for module in (argparse, difflib, textwrap, inspect, shutil)
        for name, member in inspect.getmembers(module, inspect.isroutine)
    }
    long = [name for name, text in texts.items() if len(text) > 200]
    records = [{"question": f"What does {name} do?", "answer": texts[name]} for name in long[:count]]
    return "".join(json.dumps(record) + "\n" for record in records).encode()


@pytest.fixture
def changed_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus):
    """Change one YAML file of a copy of the configuration, and plan with the definitions that follow from it."""

    def change(name: str, edit) -> None:
        folder = tmp_path / "config"
        if not folder.exists():
            shutil.copytree(config_dir(), folder)
        path = folder / name
        values = yaml.safe_load(path.read_text("utf-8"))
        edit(values)
        path.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
        monkeypatch.setenv("PHOENIX_CONFIG", str(folder))
        corpus.reload_definitions()

    return change


def test_the_same_bytes_again_materialise_nothing_downstream(corpus) -> None:
    before = corpus.record("cc/raw", "CC-MAIN-2024-22-000")
    folder = corpus.path / "landing/cc/CC-MAIN-2024-22-000"
    shutil.copytree(folder, folder.with_name("arriving"))
    shutil.rmtree(folder)
    folder.with_name("arriving").rename(folder)
    for path in folder.iterdir():
        os.utime(path)
    after = corpus.make("cc/raw", "CC-MAIN-2024-22-000")
    assert after.record.record_id != before.record.record_id
    assert after.record.data_version == before.record.data_version
    assert corpus.stale() == {}


def test_a_new_delivery_touches_its_own_partitions_then_the_index_the_mixture_and_the_tokens(
    corpus, stages: tuple[str, ...]
) -> None:
    versions = corpus.data_versions()
    deliver(corpus, "qa", "mail-faq", "qa_jsonl", **{"faq.jsonl": questions(30)})
    assert corpus.take_landed() == {"qa/mail-faq": ""}
    reasons = corpus.stale()
    own = {(f"qa/{stage}", "mail-faq") for stage in stages}
    assert {reasons[place] for place in own} == {"not materialised yet"}
    made = corpus.bring_up()
    assert made == own | INDEXES | {("mix/v3", ""), ("tokens/v3", "")}
    now = corpus.data_versions()
    changed = {place for place, version in versions.items() if now[place] != version}
    assert changed == {("mix/v3", ""), ("tokens/v3", "")}
    assert corpus.bring_up() == set()


def test_a_threshold_that_decides_as_before_changes_nothing_after_the_filter(corpus, changed_config) -> None:
    def loosen(profile) -> None:
        profile["rules"]["cond_check_number_words"] = {"at_most": 100001, "reason": "one more"}

    changed_config("filters/qa.yaml", loosen)
    reasons = corpus.stale()
    assert reasons[("qa/filtered", QA)] == "code or configuration changed"
    assert {place for place, why in reasons.items() if why == "code or configuration changed"} == {
        ("qa/filtered", QA)
    }
    assert {asset for asset, _ in reasons if asset.endswith("/filtered")} == {"qa/filtered"}
    versions = corpus.data_versions()
    made = corpus.bring_up()
    assert ("qa/filtered", QA) in made
    assert made <= {("qa/filtered", QA), ("qa/signatures", QA)}  # what one run of the partition makes
    assert corpus.data_versions() == versions
    assert corpus.stale() == {}


def test_a_threshold_that_drops_documents_changes_what_comes_after_it_in_that_source(
    corpus, changed_config, stages: tuple[str, ...]
) -> None:
    before = corpus.record("qa/filtered", QA).record.counts["rows_out"]

    def tighten(profile) -> None:
        profile["rules"]["cond_check_number_words"] = {"at_least": 60, "reason": "no short answers"}

    changed_config("filters/qa.yaml", tighten)
    made = corpus.bring_up()
    assert 0 < corpus.record("qa/filtered", QA).record.counts["rows_out"] < before
    assert corpus.record("qa/filtered", QA).record.reasons["cond_check_number_words"] > 0
    own = {(f"qa/{stage}", QA) for stage in stages[stages.index("filtered") :]}
    assert made == own | INDEXES | {("mix/v3", ""), ("tokens/v3", "")}
    assert corpus.stale() == {}


def test_a_changed_recipe_makes_only_the_mixture_and_what_is_made_of_it_stale(corpus, changed_config) -> None:
    changed_config("mixtures/v3.yaml", lambda recipe: recipe["components"]["crawl"].update(rate=0.5))
    assert corpus.stale() == {
        ("mix/v3", ""): "code or configuration changed",
        ("tokens/v3", ""): "mix/v3 is stale",
    }


def test_a_model_stays_as_it_is_while_its_reference_text_grows(corpus) -> None:
    deliver(corpus, "book", "letters", "txt", **{"a.txt": ("Dear sir, " * 200).encode()})
    corpus.take_landed()
    stale = corpus.stale()
    assert ("book/normalized", "letters") in stale
    assert not [asset for asset, _ in stale if asset.startswith("models/")]


def test_a_delivery_that_was_replaced_is_made_again_from_its_raw_files_on(
    corpus, stages: tuple[str, ...]
) -> None:
    folder = deliver(corpus, "qa", QA, "qa_jsonl", **{"faq.jsonl": questions(5)})
    assert folder.is_dir()
    reasons = corpus.stale()
    assert reasons[("qa/raw", QA)] == "delivered anew"
    assert {asset for asset, part in reasons if part == QA} == {f"qa/{stage}" for stage in stages}
    corpus.make("qa/raw", QA)
    reasons = corpus.stale()
    assert ("qa/raw", QA) not in reasons
    assert reasons[("qa/extracted", QA)] == "qa/raw changed"
    assert reasons[("qa/normalized", QA)] == "qa/extracted is stale"


def test_what_is_asked_for_alone_is_planned_alone(corpus) -> None:
    from phoenix_assets.errors import PhoenixError

    deliver(corpus, "qa", "mail-faq", "qa_jsonl", **{"faq.jsonl": questions(3)})
    corpus.take_landed()
    assert corpus.planner.select(["qa/extracted"], upstream=True) == {"qa/raw", "qa/extracted"}
    assert corpus.planner.select(["qa/extracted"], upstream=False) == {"qa/extracted"}
    with pytest.raises(PhoenixError, match="no asset qa/extrcted; there are: "):
        corpus.planner.select(["qa/extrcted"], upstream=True)
    reasons = corpus.stale("wiki/tagged")
    reads = r"(dedup/general/\w+|\w+/(signatures|paragraphs|sentences)) is stale"
    assert all(re.fullmatch(reads, reasons[place]) for place in INDEXES)


def test_a_failed_run_is_reported_with_its_cause_and_leaves_the_lake_as_it_was(corpus) -> None:
    from phoenix_assets.errors import PhoenixError

    folder = deliver(corpus, "qa", "gone", "qa_jsonl", **{"faq.jsonl": questions(3)})
    corpus.take_landed()
    shutil.rmtree(folder)
    with pytest.raises(PhoenixError, match=r"run .* of qa/raw.* \[gone\] failed: .*delivery\.yaml"):
        corpus.bring_up("qa/extracted")
    assert not [part for _, part in corpus.heads() if part == "gone"]
