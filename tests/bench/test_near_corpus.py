"""The documents that deduplication is measured on, and the judge of what programs report about them."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench import corpus, near_corpus, shingles
from bench.documents import Documents, read, recall
from bench.near_corpus import NearTexts
from bench.truth import Truth
from phoenix_assets.config import load

ENGLISH = "\n".join(
    f"Line {number} of the story tells that Alice saw {number * 7} birds and {number * 3} boats near the pier."
    for number in range(400)
)
CHINESE = "\n".join(
    f"第{number}回里说到那座城有{number * 13}户人家，河边停着{number * 5}条船。" for number in range(400)
)


def originals():
    return [
        (near_corpus._key(piece), lang, piece)
        for lang, text in (("en", ENGLISH), ("zh", CHINESE))
        for piece in near_corpus.pieces(text)
    ]


def test_documents_do_not_overlap_and_have_enough_tokens():
    for text in (ENGLISH, CHINESE):
        pieces = list(near_corpus.pieces(text))
        assert text.startswith("\n".join(pieces))
        assert len(pieces) > 10
        assert min(len(shingles.tokens(piece)) for piece in pieces) > near_corpus.TOKENS / 2


def test_every_tenth_document_has_a_near_duplicate_whose_stored_similarity_is_exact():
    given = originals()
    rows = near_corpus.with_near_duplicates(given, 5)
    copies = [row for row in rows if row[3] is not None]
    assert len(copies) == -(-len(given) // near_corpus.COPIED)
    for _, _, text, original, similarity in copies:
        both = [shingles.of_tokens(one, 5) for one in (text, rows[original][2])]
        assert similarity == len(both[0] & both[1]) / len(both[0] | both[1])


def test_the_same_documents_give_the_same_file(tmp_path):
    for name in ("one", "other"):
        corpus.write(near_corpus.with_near_duplicates(originals(), 5), tmp_path / name, shard=10)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert pq.ParquetFile(tmp_path / "one").metadata.row_group(0).num_rows == 10


def test_a_share_of_the_tokens_is_left_out_and_nothing_else():
    text = near_corpus.pieces(ENGLISH).__next__()
    found = shingles.tokens(text)
    left = shingles.tokens(near_corpus.leave_out(text, 0.1, np.random.default_rng(1)))
    assert len(left) == len(found) - round(0.1 * len(found))
    rest = iter(found)
    assert all(token in rest for token in left)


@pytest.mark.parametrize(("text", "tokens"), [("一二三四", 4), ("abcdef", 1), ("一二abcdef", 3)])
def test_tokens_are_estimated_by_script(text, tokens):
    assert near_corpus.estimated_tokens(len(text), len(text.encode())) == pytest.approx(tokens)


def test_a_pair_counts_as_found_when_not_both_are_kept():
    documents = Documents(["a"] * 5, [(0, 1), (2, 3), (3, 4)], [0.9, 0.9, 0.8])
    assert recall([0, 0, 2, 3, 4], documents, at_least=0.85) == 0.5
    assert recall([0, 1, 0, 3, 4], documents, at_least=0.85) == 0.5


def test_precision_asks_the_whole_cluster_and_likeness_only_the_document_that_is_kept():
    texts = ["a b c d e f g h", "a b c d e f g x", "p q c d e f g x", "1 2 3 4 5 6 7 8"]
    truth = Truth(Documents(texts, [], []), 2)
    assert truth.similarity(0, 1) == pytest.approx(6 / 8)
    assert truth.similarity(0, 2) == pytest.approx(4 / 10)
    labels = [0, 0, 0, 0]
    assert truth.precision(labels, at_least=0.5) == pytest.approx(2 / 3)
    assert truth.like_kept(labels, at_least=0.5) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="nothing was dropped"):
        truth.precision([0, 1, 2, 3], at_least=0.5)


def test_documents_read_back_pair_the_original_with_its_copy(tmp_path):
    corpus.write(near_corpus.with_near_duplicates(originals(), 5), tmp_path / "documents.parquet")
    documents = read(str(tmp_path / "documents.parquet"), "zh")
    for (original, copy), similarity in zip(documents.pairs, documents.jaccard, strict=True):
        assert similarity == shingles.jaccard(
            *(shingles.of_tokens(documents.texts[place], 5) for place in (original, copy))
        )


def test_the_description_of_the_texts_is_valid():
    assert {one.form for one in load(NearTexts, near_corpus.TEXTS).texts.values()} <= set(near_corpus._FORMS)
