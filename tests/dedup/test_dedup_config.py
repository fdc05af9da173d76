"""The committed configuration, and what a wrong one is told."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from phoenix_assets.config import load
from phoenix_assets.dedup.config import DedupConfig

COMMITTED = Path(__file__).parents[2] / "config" / "dedup.yaml"


@pytest.fixture(scope="module")
def committed() -> DedupConfig:
    return load(DedupConfig, COMMITTED)


def changed(config: DedupConfig, **values: object) -> DedupConfig:
    return DedupConfig.model_validate({**config.model_dump(), **values})


def test_books_and_code_are_on_their_own_and_books_apart_by_language(committed):
    assert committed.groups["book"].sources == ["book"]
    assert committed.groups["book"].by_language
    assert committed.groups["code"].sources == ["code"]
    assert committed.group_of("cc") == committed.group_of("wiki") == "general"


def test_encyclopedia_outranks_crawl(committed):
    assert committed.source_rank("wiki") < committed.source_rank("cc")


def test_bands_that_do_not_fit_a_signature_are_refused(committed):
    groups = {**committed.model_dump()["groups"]}
    groups["code"] = {**groups["code"], "bands": 15}
    with pytest.raises(
        ValidationError, match="'code' needs 15 bands x 8 rows = 120 values, a signature has 112"
    ):
        changed(committed, groups=groups)


def test_a_source_in_two_groups_is_refused(committed):
    groups = {**committed.model_dump()["groups"]}
    groups["code"] = {**groups["code"], "sources": ["code", "wiki"]}
    with pytest.raises(ValidationError, match="'wiki' is in group 'general' and in group 'code'"):
        changed(committed, groups=groups)


def test_a_source_without_a_rank_or_with_two_is_refused(committed):
    with pytest.raises(ValidationError, match=r"priority lacks \['cc'\]"):
        changed(committed, priority=[source for source in committed.priority if source != "cc"])
    with pytest.raises(ValidationError, match=r"priority names \['cc'\] more than once"):
        changed(committed, priority=[*committed.priority, "cc"])


def test_an_unknown_source_is_named(committed):
    with pytest.raises(KeyError, match="no dedup group has source 'podcast'"):
        committed.group_of("podcast")
    with pytest.raises(KeyError, match="lacks source 'podcast'"):
        committed.source_rank("podcast")
