"""The committed rules for passages, and what a wrong one is told."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from phoenix_assets.config import load
from phoenix_assets.dedup.config import DedupConfig
from phoenix_assets.dedup.passages.config import BoilerplateConfig, Passage

COMMITTED = Path(__file__).parents[2] / "config" / "dedup.yaml"


@pytest.fixture(scope="module")
def committed() -> DedupConfig:
    return load(DedupConfig, COMMITTED)


def test_a_document_goes_beyond_thirty_percent_and_a_book_only_with_heavy_duplication(committed):
    assert committed.passage_rules("cc").max_share(Passage.PARAGRAPH) == 0.3
    assert committed.passage_rules("book").max_share(Passage.PARAGRAPH) >= 0.7
    assert committed.passage_rules("cc").max_share(Passage.SENTENCE) == 1.0


def test_code_is_not_cut_and_pairs_of_lines_are_not_compared(committed):
    assert not committed.passage_rules("code").removes(Passage.PARAGRAPH)
    assert committed.passage_rules("cc").removes(Passage.PARAGRAPH)
    assert committed.passage_rules("parallel").exempt
    assert not committed.passage_rules("qa").exempt


def test_sentences_are_decided_after_paragraphs():
    assert (Passage.PARAGRAPH.before, Passage.SENTENCE.before) == ((), (Passage.PARAGRAPH,))


def test_the_share_and_the_sentences_do_not_change_which_paragraphs_are_compared(committed):
    rules = committed.passage_rules("cc")
    group = rules.group
    paragraphs = group.paragraphs.model_copy(update={"max_share": 0.5})
    sentences = group.sentences.model_copy(update={"head": 9})
    other = rules.model_copy(
        update={"group": group.model_copy(update={"paragraphs": paragraphs, "sentences": sentences})}
    )
    assert other.settings(Passage.PARAGRAPH) == rules.settings(Passage.PARAGRAPH)
    assert other.settings(Passage.SENTENCE) != rules.settings(Passage.SENTENCE)


def test_a_pattern_that_is_no_regular_expression_is_refused_by_name():
    with pytest.raises(ValidationError, match=r"contact: '\(tel' is no regular expression"):
        BoilerplateConfig(max_characters=100, patterns={"contact": ["(tel"]})


def test_groups_and_their_passages_must_have_the_same_names(committed):
    values = committed.model_dump()
    del values["passages"]["groups"]["code"]
    with pytest.raises(ValidationError, match="'code' is a dedup group without passages"):
        DedupConfig.model_validate(values)
    values["passages"]["groups"] |= {
        "code": values["passages"]["groups"]["book"],
        "songs": values["passages"]["groups"]["book"],
    }
    with pytest.raises(ValidationError, match="'songs' is no dedup group"):
        DedupConfig.model_validate(values)
