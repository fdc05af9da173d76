"""The quality classifier separates a novel from web-page boilerplate, and repeats itself to the byte."""

from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.config import config_dir, load
from phoenix_assets.errors import ConfigError
from phoenix_assets.schema import document_id
from phoenix_assets.tag.config import QualityConfig, TagConfig
from phoenix_assets.tag.quality import sample_training, score_quality, train_quality

DATA = Path(__file__).parent / "data"
NOVEL = pl.Series((DATA / "novel_zh.txt").read_text("utf-8").splitlines())
INTERFACE = pl.Series((DATA / "interface_zh.txt").read_text("utf-8").splitlines())


@pytest.fixture(scope="module")
def config() -> QualityConfig:
    settings = load(TagConfig, config_dir() / "tags.yaml").quality.model_dump()
    settings["fasttext"] |= {"bucket": 20_000, "epoch": 15}
    return QualityConfig.model_validate(settings | {"heldout_fraction": 0.2})


@pytest.fixture(scope="module")
def model(config: QualityConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "quality.bin"
    train_quality(NOVEL[:120], INTERFACE[:120], config, path)
    return path


def test_unseen_prose_scores_above_unseen_boilerplate(model: Path, config: QualityConfig):
    prose, boilerplate = NOVEL[120:], INTERFACE[120:]
    good = score_quality(prose, pl.Series(["zh"] * len(prose)), model, config)
    bad = score_quality(boilerplate, pl.Series(["zh"] * len(boilerplate)), model, config)
    assert good.min() > bad.max()


def test_scores_are_probabilities_and_null_in_a_language_that_was_not_learned(
    model: Path, config: QualityConfig
):
    texts = pl.Series([NOVEL[0], "Ceci n'est pas scoré.", "", None], dtype=pl.String)
    scores = score_quality(texts, pl.Series(["zh", "fr", "en", None], dtype=pl.String), model, config)
    assert scores.is_null().to_list() == [False, True, False, True]
    assert scores.drop_nulls().is_between(0, 1).all()


def test_a_batch_scores_as_its_texts_do_alone(model: Path, config: QualityConfig):
    texts = pl.concat([NOVEL, INTERFACE])
    together = score_quality(texts, pl.Series(["zh"] * len(texts)), model, config)
    alone = [
        score_quality(texts[n : n + 1], pl.Series(["zh"]), model, config)[0] for n in range(0, len(texts), 10)
    ]
    assert together.gather_every(10).to_list() == alone


def test_the_same_texts_in_another_order_give_the_same_model_bytes(config: QualityConfig, tmp_path: Path):
    first = train_quality(NOVEL, INTERFACE, config, tmp_path / "a.bin")
    second = train_quality(NOVEL.reverse(), INTERFACE.shuffle(seed=1), config, tmp_path / "b.bin")
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()
    assert first == second


def test_the_report_measures_on_texts_that_were_held_out(config: QualityConfig, tmp_path: Path):
    report = train_quality(NOVEL, INTERFACE, config, tmp_path / "model.bin")
    assert (report.positives, report.negatives) == (len(NOVEL), len(INTERFACE))
    assert 30 < report.heldout < 90
    assert report.accuracy > 0.95
    assert report.auc > 0.98


def test_classes_that_are_the_same_text_cannot_be_told_apart(config: QualityConfig, tmp_path: Path):
    report = train_quality(NOVEL, NOVEL, config, tmp_path / "model.bin")
    assert report.auc == pytest.approx(0.5, abs=0.01)


def test_a_class_with_too_few_texts_is_refused(config: QualityConfig, tmp_path: Path):
    with pytest.raises(ConfigError, match="give more documents"):
        train_quality(NOVEL[:1], INTERFACE[:0], config, tmp_path / "model.bin")


def test_fasttext_labels_inside_a_text_stay_text(config: QualityConfig, tmp_path: Path):
    report = train_quality(NOVEL + " __label__crawl", INTERFACE, config, tmp_path / "model.bin")
    assert report.accuracy > 0.95


def documents(rows: list[tuple[str, str, str]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["source", "lang", "text"], orient="row")
    return frame.with_columns(
        doc_id=pl.Series([document_id(source, "d", str(n)) for n, (source, _, _) in enumerate(rows)])
    )


def test_classes_are_sampled_in_equal_numbers_within_each_language(config: QualityConfig):
    rows = [("wiki", "zh", f"维{n}") for n in range(30)] + [("cc", "zh", f"网{n}") for n in range(10)]
    rows += [("book", "en", f"book {n}") for n in range(5)] + [("cc", "en", f"web {n}") for n in range(50)]
    rows += [("cc", "ja", f"ウェブ{n}") for n in range(50)]
    positives, negatives = sample_training(documents(rows), config)
    assert sorted(text[0] for text in positives) == ["b"] * 5 + ["维"] * 10
    assert sorted(text[0] for text in negatives) == ["w"] * 5 + ["网"] * 10


def test_the_sample_does_not_depend_on_the_order_of_documents(config: QualityConfig):
    frame = documents([("wiki", "zh", t) for t in NOVEL] + [("cc", "zh", t) for t in INTERFACE[:40]])
    first, second = sample_training(frame, config), sample_training(frame.reverse(), config)
    assert first[0].equals(second[0])
    assert first[1].equals(second[1])


def test_one_sided_sources_are_refused(config: QualityConfig):
    with pytest.raises(ConfigError, match="no language of"):
        sample_training(documents([("wiki", "zh", "好"), ("cc", "en", "web")]), config)
