"""The rules over many real documents: equal to the plain Python definitions to the last bit."""

import os
from pathlib import Path

import jieba
import polars as pl
import pytest

from bench import corpus
from phoenix_assets.clean.buffers import codepoints
from phoenix_assets.clean.text_rules import text_rules
from phoenix_assets.clean.wordlists import flagged_words, lexicon, stopwords
from phoenix_assets.ingest.sample.build import build_sample, load_sample_config

DELIVERIES = {"sanguo-vol1", "CC-MAIN-2024-22-000", "CC-MAIN-2024-22-001"}
CHARACTERS = 250
DOCUMENTS = 10_000


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """Land real Chinese and English text; cut it into documents."""
    home = tmp_path_factory.mktemp("landed")
    cache = Path(os.environ.get("PHOENIX_HOME", Path(__file__).parents[2] / ".phoenix")).resolve() / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(cache)
    config = load_sample_config()
    chosen = tuple(one for one in config.deliveries if one.delivery in DELIVERIES)
    build_sample(home, config.model_copy(update={"deliveries": chosen}), small=False)
    built = corpus.build(home, home, per_language=DOCUMENTS)
    longer = pl.concat(pl.read_parquet(path) for path in (built.documents, built.reference))
    pieces = [
        (text[start : start + CHARACTERS], lang)
        for text, lang in longer.select("text", "lang").iter_rows()
        for start in range(0, len(text), CHARACTERS)
    ]
    table = pl.DataFrame(pieces, schema=["text", "lang"], orient="row").unique(maintain_order=True)
    # Chinese first, which is less.
    return table.sort(pl.col("lang") == "en", maintain_order=True).head(DOCUMENTS)


def cut(texts, lang):
    """Return the texts with spaces where words are to be cut that are written without."""
    return [" ".join(jieba.lcut(text, HMM=False)) if lang == "zh" else text for text in texts]


@pytest.mark.slow
def test_ten_thousand_real_documents_have_the_values_of_the_definitions(documents, profiles, reference):
    assert documents.height == DOCUMENTS
    parameters = profiles["default"].parameters
    for (lang,), rows in documents.group_by("lang", maintain_order=True):
        texts = rows["text"].to_list()
        found = text_rules(codepoints(rows["text"]), rows["lang"], lexicon(parameters), parameters)
        words = [reference.words(text) for text in cut(texts, lang)]
        stops, flagged = (cut(sorted(listed()[lang]), lang) for listed in (stopwords, flagged_words))
        expected = {
            "special_characters": [reference.special_characters(text) for text in texts],
            "short_lines": [reference.short_lines(text, parameters.short_line_characters) for text in texts],
            "character_repetition": [
                reference.character_repetition(text, parameters.character_ngram) for text in texts
            ],
            "number_words": [len(of_text) for of_text in words],
            "word_repetition": [
                reference.word_repetition(of_text, parameters.word_ngram) for of_text in words
            ],
            "stopwords": [reference.stopwords(of_text, stops) for of_text in words],
            "flagged_words": [reference.flagged_words(of_text, flagged) for of_text in words],
        }
        assert {name: found[name].to_list() for name in expected} == expected
