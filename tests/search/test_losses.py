"""A proxy's loss on each kind of documents, beside the definition: minus the log probability of each next token."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from phoenix_assets.search.losses import mean_losses
from phoenix_assets.search.sequences import mix_sequences, strands
from phoenix_assets.tokens.indexed import token_dtype, write_index
from training_jobs.indexed_tokens import IndexedTokens
from training_jobs.job import ModelSize
from training_jobs.nemo_causal_lm import llama_config

SIZE = ModelSize(layers=1, hidden=16, ffn=32, heads=2, kv_heads=2, context=8, vocab_size=50)
LENGTHS = np.array([11, 14, 9, 12], np.int32)
KINDS = np.array([0, 1, 1, 0])


@pytest.fixture
def tokens(tmp_path: Path) -> IndexedTokens:
    dtype = token_dtype(SIZE.vocab_size)
    ids = np.random.default_rng(0).integers(0, SIZE.vocab_size, LENGTHS.sum())
    ids.astype(dtype).tofile(tmp_path / "validation-00000.bin")
    write_index(tmp_path / "validation-00000.idx", LENGTHS, dtype)
    return IndexedTokens([tmp_path / "validation-00000"])


@pytest.fixture
def model(tmp_path: Path) -> LlamaForCausalLM:
    torch.manual_seed(0)
    model = LlamaForCausalLM(llama_config(SIZE, 0)).eval()
    model.save_pretrained(tmp_path / "model")
    return model


def test_each_kind_s_loss_is_the_mean_over_its_own_sequences(
    tokens: IndexedTokens, model: LlamaForCausalLM, tmp_path: Path
) -> None:
    sources = strands(LENGTHS, KINDS, 3, 100)
    mixed = mix_sequences(
        sources, np.array([2, 1, 0]), sequence_length=4, global_batch=1, data_tokens=tokens.total, seed=1
    )
    found = mean_losses(tmp_path / "model", tokens, mixed, batch_sequences=2)

    def loss(start: int) -> float:
        window = torch.from_numpy(tokens.read(start, start + 5))
        with torch.no_grad():
            logs = model(window[None, :-1]).logits[0].double().log_softmax(-1)
        return -float(logs[torch.arange(4), window[1:]].mean())

    assert found == {0: pytest.approx((loss(0) + loss(4)) / 2), 1: pytest.approx(loss(11))}
