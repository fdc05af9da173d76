"""SentencePiece models, trained on the same text as the small tokenizer."""

import polars as pl
import pytest
from sentencepiece import SentencePieceTrainer


@pytest.fixture(scope="session")
def sentencepiece_models(texts: pl.Series, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """SentencePiece models as others train them: BPE and unigram, text as it is or by NFKC."""
    folder = tmp_path_factory.mktemp("sentencepiece")
    kinds = {
        "bpe_identity": {"model_type": "bpe", "normalization_rule_name": "identity", "split_digits": True},
        "bpe_nfkc": {"model_type": "bpe", "normalization_rule_name": "nmt_nfkc"},
        "unigram_identity": {"model_type": "unigram", "normalization_rule_name": "identity"},
    }
    for name, kind in kinds.items():
        SentencePieceTrainer.train(
            sentence_iterator=iter(texts.str.split("\n").explode().drop_nulls().to_list()),
            model_prefix=str(folder / name),
            vocab_size=1600,
            character_coverage=0.98,
            byte_fallback=True,
            remove_extra_whitespaces=False,
            num_threads=1,
            minloglevel=2,
            **kind,
        )
    return {name: (folder / f"{name}.model").read_bytes() for name in kinds}
