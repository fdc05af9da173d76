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
    assert committed.group_of("book") == "book"
    assert committed.group_of("cc") not in {"book", "code"}
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


def test_a_source_that_no_group_names_joins_the_default_group_and_ranks_last(committed):
    wider = committed.covering(["wiki", "podcast", "blog"])
    assert wider.group_of("podcast") == wider.group_of("blog") == committed.default_group
    assert max(committed.source_rank(source) for source in committed.priority) < wider.source_rank("blog")
    assert wider.source_rank("blog") < wider.source_rank("podcast")
    assert committed.covering(["wiki"]) == committed


def test_a_default_group_that_does_not_exist_is_refused(committed):
    with pytest.raises(ValidationError, match="default_group 'others' is not one of"):
        changed(committed, default_group="others")


def test_an_unknown_source_is_named(committed):
    with pytest.raises(KeyError, match="no dedup group has source 'podcast'"):
        committed.group_of("podcast")
    with pytest.raises(KeyError, match="lacks source 'podcast'"):
        committed.source_rank("podcast")
