"""Addresses and pasted texts: found however they are written, and as nearly as deduplication would find them."""

import pytest

from phoenix_assets.audit.config import load_audits
from phoenix_assets.audit.downstream_pages import why_not_page
from phoenix_assets.audit.page import page_text
from phoenix_assets.audit.whereabouts import why_not_text, why_not_url
from phoenix_assets.dedup.config import Granularity

CC = "CC-MAIN-2024-22-000"


@pytest.fixture(scope="module")
def home(small_corpus, home_at):
    return home_at(small_corpus)


@pytest.fixture(scope="module")
def documents(home):
    return home.lake.read(home.record("cc/deduped", CC).as_input()).collect()


def text_asked(home, text: str) -> dict:
    return why_not_text(home.lake, home.ledger, text, {"lang": "zh"}, load_audits())


def test_an_address_is_found_however_it_is_written(home, documents) -> None:
    url, doc_id = documents.select("url", "doc_id").row(0)
    for written in (url, url.replace("https://", "http://www."), f"{url}?utm_source=mail#part"):
        found = why_not_url(home.lake, home.ledger, written)
        assert doc_id in {one["doc_id"] for one in found["documents"]}, written
    assert f"{doc_id} came with cc/{CC}." in page_text(why_not_page(found))


def test_a_page_that_was_dropped_by_a_filter_is_found_by_its_address(home) -> None:
    extracted = home.lake.read(home.record("cc/extracted", CC).as_input()).collect()
    filtered = home.lake.read(home.record("cc/filtered", CC).as_input()).collect()
    url = extracted.join(filtered, on="doc_id", how="anti").sort("doc_id")["url"][0]
    fates = [one["stages"][-1] for one in why_not_url(home.lake, home.ledger, url)["documents"]]
    assert any(not fate["kept"] and fate["stage"] == "filtered" for fate in fates)


def test_an_address_that_never_came_is_said_to_be_unknown(home) -> None:
    found = why_not_url(home.lake, home.ledger, "https://nowhere.example/page")
    assert found["documents"] == [] and found["quarantined"] == []
    assert "No delivery has a document from this address." in page_text(why_not_page(found))


def test_a_pasted_text_is_known_exactly_without_regard_to_case_and_space(home, documents) -> None:
    text, doc_id = documents.sort("doc_id").select("text", "doc_id").row(5)
    (first, *_) = text_asked(home, f"  {text.upper()}\n")["lookalikes"]
    assert (first["doc_id"], first["granularity"], first["duplicate"]) == (doc_id, Granularity.EXACT, True)


def test_a_pasted_text_that_is_nearly_a_document_is_known_with_its_likeness(home, documents) -> None:
    long = documents.sort(documents["text"].str.len_chars(), descending=True)
    text, doc_id = long.select("text", "doc_id").row(0)
    found = text_asked(home, text[: len(text) * 95 // 100])
    alike = {one["doc_id"]: one for one in found["lookalikes"]}
    assert alike[doc_id]["granularity"] is Granularity.NEAR and alike[doc_id]["duplicate"]
    assert 0.85 < alike[doc_id]["similarity"] < 1
    assert doc_id in {one["doc_id"] for one in found["documents"]}


def test_a_text_that_nobody_wrote_before_is_like_nothing(home) -> None:
    found = text_asked(home, "Seventeen purple locomotives discuss the price of tea with a lighthouse.")
    assert found["lookalikes"] == []
    assert "Deduplication knows no copy of it" in page_text(why_not_page(found))
