"""An erasure from order to proof: only what it touches is made again, twins come back, and no file holds the text."""

import json
import shutil

import polars as pl
import pytest
from click.testing import CliRunner

from phoenix_assets.audit.prints import Lookout, load_prints, prints
from phoenix_assets.cli import main
from phoenix_assets.errors import Withdrawn
from phoenix_assets.mix.config import load_mixture
from resources.frozen import freeze, require_sound
from resources.ledger import LineageLedger

QA, CC = "debian-faq-2024-06", "CC-MAIN-2024-22-000"


def phoenix(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.output


def documents(home, asset: str, delivery: str) -> pl.DataFrame:
    return home.lake.read(home.record(asset, delivery).as_input()).collect()


def survivor_with_twin(home) -> tuple[str, dict]:
    """Return a document of one delivery, and a document of another one that was dropped as its duplicate."""
    for level in ("near", "exact", "url"):
        decided = home.lake.read(home.record(f"dedup/general/{level}").as_input()).collect()
        kept = decided.filter("kept").select(duplicate_of="doc_id", kept_in="delivery")
        pairs = decided.filter(~pl.col("kept")).join(kept, on="duplicate_of")
        pairs = pairs.filter(pl.col("delivery") != pl.col("kept_in")).sort("doc_id")
        if pairs.height:
            row = pairs.row(0, named=True)
            return row["duplicate_of"], row
    raise AssertionError("the small corpus has no duplicates across deliveries")


@pytest.mark.slow
def test_a_document_is_erased_its_twin_comes_back_and_nothing_holds_the_text(corpus) -> None:
    doc_id, twin = survivor_with_twin(corpus)
    source, delivery = next(
        (asset.partition("/")[0], partition)
        for (asset, partition) in corpus.heads()
        if asset.endswith("/tagged") and doc_id in set(documents(corpus, asset, partition)["doc_id"])
    )
    freeze(corpus.ledger, load_mixture("v1.1"))
    plan = json.loads(phoenix("erase", "document", doc_id, "--plan", "--json"))
    assert twin["doc_id"] in {row["doc_id"] for row in plan["twins"]}
    assert {row["mixture"] for row in plan["mixtures"]} == {"mix/v3"}
    assert plan["cost"]["documents"] > 0 and plan["cost"]["seconds"] > 0
    assert corpus.stale() == {}
    before = corpus.record_ids()
    done = json.loads(phoenix("erase", "document", doc_id, "--reason", "a person asked", "--yes", "--json"))
    made = {place for place, record in corpus.record_ids().items() if before.get(place) != record}
    assert (f"{source}/extracted", delivery) in made and ("tokens/v3", "") in made
    assert {
        asset for asset, partition in made if asset.endswith("/extracted") and partition != delivery
    } == set()
    assert not [asset for asset, _ in made if asset.startswith("models/")]
    fate = {row["doc_id"]: row["fate"] for row in done["twins"]}
    assert fate[twin["doc_id"]] == "resurrected"
    assert twin["doc_id"] in set(documents(corpus, f"{twin['source']}/deduped", twin["delivery"])["doc_id"])
    assert json.loads(phoenix("erase", "prove", done["erasure"], "--json", code=1))["passed"] is False
    phoenix("gc", "--yes", "--hours", "0")
    (corpus.path / "cache").unlink()  # the sample's own archives, from which it was landed
    found = json.loads(phoenix("erase", "prove", done["erasure"], "--json"))
    assert found["passed"], found
    assert found["deliveries"][0]["held_by_living_documents"]["prints"] > 0  # its twin's
    with pytest.raises(Withdrawn, match="a person asked"):
        require_sound(LineageLedger(corpus.lake), "v1.1")


@pytest.mark.slow
def test_a_delivery_is_erased_as_a_whole_and_refused_when_it_lands_again(corpus) -> None:
    texts = documents(corpus, "qa/tagged", QA)["text"]
    again = corpus.path / "kept-by-the-vendor"
    shutil.copytree(corpus.path / "landing/qa" / QA, again)
    done = json.loads(
        phoenix("erase", "delivery", f"qa/{QA}", "--reason", "the licence ended", "--yes", "--json")
    )
    assert documents(corpus, "qa/tagged", QA).height == 0
    assert corpus.stale() == {}
    assert not (corpus.path / "landing/qa" / QA).exists()
    phoenix("gc", "--yes", "--hours", "0")
    audit = json.loads(phoenix("audit", "delivery", f"qa/{QA}", "--json"))
    assert audit["verification"]["passed"]
    shutil.copytree(again, corpus.path / "landing/qa" / QA)
    said = corpus.take_landed()
    assert "was erased on" in said[f"qa/{QA}"] and "the licence ended" in said[f"qa/{QA}"]
    lookout = Lookout(prints(texts, 1, load_prints()).explode(), 1, load_prints())
    log = (corpus.path / "lake/qa/erased").rglob("*.parquet")
    assert not any(len(lookout.found(pl.read_parquet(path)["reason"])[1]) for path in log)
    assert done["documents"] >= len(texts)


def test_an_order_without_a_reason_or_for_nobody_is_a_message(corpus) -> None:
    assert "--reason is missing" in phoenix("erase", "delivery", f"qa/{QA}", "--yes", code=2)
    assert "no delivery qa/none; there are: qa/" in phoenix("erase", "delivery", "qa/none", code=1)
    assert "no document" in phoenix("erase", "document", "f" * 32, code=1)
    assert "no erasure 'x'; there are: none" in phoenix("erase", "prove", "x", code=1)
