"""The committed evaluation settings, and what wrong ones are told."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from phoenix_assets.config import load
from phoenix_assets.evaluate.config import EvaluationConfig

COMMITTED = Path(__file__).parents[2] / "config" / "evaluation.yaml"


def test_the_committed_settings_report_top_1_and_top_5_for_chinese_and_english():
    committed = load(EvaluationConfig, COMMITTED)
    assert committed.top_k == (1, 5)
    assert set(committed.languages) >= {"zh", "en"}


@pytest.mark.parametrize("top_k", [[5, 1], [1, 1], [0, 1]])
def test_top_k_must_ascend(config, top_k):
    with pytest.raises(ValidationError, match="must ascend from at least 1"):
        EvaluationConfig.model_validate({**config.model_dump(), "top_k": top_k})


def test_a_batch_must_hold_a_whole_chunk(config):
    with pytest.raises(ValidationError, match="batch_tokens 8 is less than context 32"):
        EvaluationConfig.model_validate({**config.model_dump(), "batch_tokens": 8})
