"""Other tokenizers in the graph: one that somebody else trained, and one with more tokens."""

import hashlib
import io
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import Tokenizer

from phoenix_assets.lineage import SideTable
from phoenix_assets.tokens.indexed import read_indexed
from phoenix_assets.tokens.trace import TraceIndex

pytestmark = pytest.mark.slow

CONFIG = Path(__file__).resolve().parents[2] / "config"
EXTENSION = {
    "mixture": "v3",
    "languages": ["zh"],
    "bytes_per_language": 300_000,
    "seed": 7,
    "tokens": 50,
    "added": ["<|tool|>"],
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's configuration, to be changed."""
    shutil.copytree(CONFIG, tmp_path / "config")
    monkeypatch.setenv("PHOENIX_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def texts_of(corpus) -> dict[str, str]:
    sources = corpus.record("mix/v3").record.inputs
    tagged = [corpus.lake.read(source) for source in sources if source.asset.endswith("/tagged")]
    return dict(pl.concat([frame.select("doc_id", "text") for frame in tagged]).collect().iter_rows())


def test_a_sentencepiece_model_of_somebody_else_makes_the_tokens_that_sentencepiece_makes(
    corpus, config: Path
) -> None:
    trained = io.BytesIO()
    texts = texts_of(corpus)
    SentencePieceTrainer.train(
        sentence_iterator=iter([line[:2000] for text in texts.values() for line in text.splitlines()][:5000]),
        model_writer=trained,
        model_type="bpe",
        vocab_size=2000,
        character_coverage=0.98,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        num_threads=1,
        minloglevel=2,
    )
    (config / "their.model").write_bytes(trained.getvalue())
    settings = yaml.safe_load((config / "tokenizer.yaml").read_text("utf-8"))
    digest = hashlib.sha256(trained.getvalue()).hexdigest()
    named = {"location": "their.model", "sha256": digest, "licence": "CC0-1.0"}
    (config / "tokenizer.yaml").write_text(yaml.safe_dump(settings | {"eod": "</s>", "pretrained": named}))
    corpus.reload_definitions()
    corpus.make("models/tokenizer")
    record = corpus.make("tokens/v3").record
    folder = corpus.lake.files_folder(record.side_tables[SideTable.FILES])
    processor = SentencePieceProcessor(model_proto=trained.getvalue())
    stored = read_indexed(folder / "train-00000")
    doc_ids = TraceIndex(folder, "train").doc_ids()
    for position in range(0, len(stored.lengths), 9):
        expected = processor.encode(texts[doc_ids[position]])
        assert stored.document(position).tolist() == [*expected, processor.piece_to_id("</s>")]


def test_an_extension_is_an_asset_once_its_file_exists_and_saves_tokens(corpus, config: Path) -> None:
    (config / "tokenizer_extensions").mkdir()
    (config / "tokenizer_extensions" / "tokenizer_zh.yaml").write_text(yaml.safe_dump(EXTENSION))
    corpus.reload_definitions()
    stored = corpus.make("models/tokenizer_zh")
    counts = stored.record.counts
    assert counts["tokens_after"] < counts["tokens_before"]
    parent = corpus.lake.stored_file(corpus.record("models/tokenizer").as_input(), "tokenizer.json")
    extended = corpus.lake.stored_file(stored.as_input(), "tokenizer.json")
    old, new = (Tokenizer.from_file(str(path)).get_vocab() for path in (parent, extended))
    assert old.items() <= new.items()
    assert "<|tool|>" in new.keys() - old.keys()
