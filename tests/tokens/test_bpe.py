"""The tokenizer: the same bytes from any number of threads, every character back, no injected token."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from phoenix_assets.schema import document_id
from phoenix_assets.tokens.bpe import sample_training_texts, train_bpe
from phoenix_assets.tokens.config import TokenizerConfig, TokensConfig
from phoenix_assets.tokens.encoding import encode, load_tokenizer

TRAIN_AND_ENCODE = """
import hashlib, json, sys
from pathlib import Path
import polars as pl
from phoenix_assets.tokens.bpe import train_bpe
from phoenix_assets.tokens.encoding import encode
from phoenix_assets.tokens.config import TokenizerConfig, TokensConfig
given = json.loads(Path(sys.argv[1]).read_text("utf-8"))
trained = train_bpe(given["texts"], TokenizerConfig.model_validate(given["tokenizer"]))
encoded = encode(pl.Series(given["texts"]), trained, TokensConfig.model_validate(given["tokens"]))
print(hashlib.sha256(trained).hexdigest(), hashlib.sha256(encoded.ids.tobytes()).hexdigest())
"""


def test_any_number_of_threads_gives_the_same_tokenizer_and_the_same_ids(
    texts: pl.Series, tokenizer_config: TokenizerConfig, tokens_config: TokensConfig, tmp_path: Path
):
    given = {
        "texts": texts.to_list(),
        "tokenizer": tokenizer_config.model_dump(),
        "tokens": tokens_config.model_dump(),
    }
    (tmp_path / "given.json").write_text(json.dumps(given), "utf-8")
    command = [sys.executable, "-c", TRAIN_AND_ENCODE, str(tmp_path / "given.json")]
    root = str(Path(__file__).parents[2])
    outputs = {
        subprocess.run(
            command,
            env=os.environ
            | {"RAYON_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": parallel, "PYTHONPATH": root},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads, parallel in (("1", "false"), ("2", "true"), ("7", "true"))
    }
    assert len(outputs) == 1


def test_training_again_gives_the_same_bytes(
    texts: pl.Series, tokenizer_config: TokenizerConfig, tokenizer_json: bytes
):
    assert train_bpe(iter(texts), tokenizer_config) == tokenizer_json


def test_the_vocabulary_has_the_wanted_size_and_the_special_tokens_first(
    tokenizer_json: bytes, tokenizer_config: TokenizerConfig
):
    tokenizer = Tokenizer.from_str(tokenizer_json.decode())
    assert tokenizer.get_vocab_size() == tokenizer_config.vocab_size
    assert tokenizer.token_to_id("<|endoftext|>") == 0


@settings(max_examples=150, deadline=None)
@given(text=st.text())
def test_decoding_gives_every_character_back(tokenizer_json: bytes, tokens_config: TokensConfig, text: str):
    ids = encode(pl.Series([text]), tokenizer_json, tokens_config).ids
    assert load_tokenizer(tokenizer_json).decode(ids.tolist(), skip_special_tokens=False) == text


def test_odd_strings_come_back(tokenizer_json: bytes, tokens_config: TokensConfig):
    odd = ["", "\u200b", "👩‍👩‍👧‍👦", "①Ⅷ½", "ﬁ", "\r\n\t  x", "　全角　", "𠮷野家", "\x00", "e\u0301"]
    encoded = encode(pl.Series(odd), tokenizer_json, tokens_config)
    pieces = np.split(encoded.ids, np.cumsum(encoded.lengths)[:-1])
    assert [load_tokenizer(tokenizer_json).decode(piece.tolist()) for piece in pieces] == odd


def test_digits_stand_alone(tokenizer_json: bytes, tokens_config: TokensConfig):
    assert encode(pl.Series(["20240603"]), tokenizer_json, tokens_config).lengths.tolist() == [8]


def test_a_special_token_written_in_a_text_stays_text(tokenizer_json: bytes, tokens_config: TokensConfig):
    encoded = encode(pl.Series(["a<|endoftext|>b"]), tokenizer_json, tokens_config)
    assert 0 not in encoded.ids.tolist()
    assert load_tokenizer(tokenizer_json).decode(encoded.ids.tolist()) == "a<|endoftext|>b"


@pytest.mark.parametrize("bounds", [{"batch_documents": 1}, {"batch_bytes": 1}, {"batch_bytes": 700}])
def test_batches_change_nothing(
    texts: pl.Series, tokenizer_json: bytes, tokens_config: TokensConfig, bounds: dict[str, int]
):
    whole = encode(texts, tokenizer_json, tokens_config)
    parts = encode(texts, tokenizer_json, tokens_config.model_copy(update=bounds))
    assert np.array_equal(whole.ids, parts.ids)
    assert np.array_equal(whole.lengths, parts.lengths)


def test_ids_need_sixteen_bits_and_a_null_text_has_none(tokenizer_json: bytes, tokens_config: TokensConfig):
    encoded = encode(pl.Series([None, "字"], dtype=pl.String), tokenizer_json, tokens_config)
    assert encoded.ids.dtype == np.uint16
    assert encoded.lengths[0] == 0


def test_no_texts_give_no_ids(tokenizer_json: bytes, tokens_config: TokensConfig):
    encoded = encode(pl.Series([], dtype=pl.String), tokenizer_json, tokens_config)
    assert (len(encoded.ids), len(encoded.lengths)) == (0, 0)


def test_a_path_and_its_content_are_the_same_tokenizer(
    texts: pl.Series, tokenizer_json: bytes, tokens_config: TokensConfig, tmp_path: Path
):
    (tmp_path / "tokenizer.json").write_bytes(tokenizer_json)
    by_path = encode(texts[:5], tmp_path / "tokenizer.json", tokens_config)
    assert np.array_equal(by_path.ids, encode(texts[:5], tokenizer_json, tokens_config).ids)


def test_each_language_trains_on_its_own_budget_in_any_order(texts: pl.Series):
    documents = pl.DataFrame(
        {
            "doc_id": [document_id("wiki", "d", str(n)) for n in range(len(texts))],
            "lang": ["zh"] * 150 + ["en"] * (len(texts) - 150),
            "text": texts,
        }
    )
    chosen = sample_training_texts([documents], 20_000, seed=3)
    assert chosen.equals(sample_training_texts(documents.reverse().iter_slices(11), 20_000, seed=3))
    chinese = chosen.str.contains(r"\p{Han}")
    for part in (chosen.filter(chinese), chosen.filter(~chinese)):
        assert 15_000 < part.str.len_bytes().sum() <= 20_000
