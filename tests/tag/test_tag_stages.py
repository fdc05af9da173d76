"""The tagging stage keeps every document and every column that a mixture may want."""

from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.clean.stages import FILTERED
from phoenix_assets.config import config_dir, load
from phoenix_assets.tag.config import TagConfig
from phoenix_assets.tag.quality import train_quality
from phoenix_assets.tag.stages import TAGGED, tag_documents

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def config() -> TagConfig:
    settings = load(TagConfig, config_dir() / "tags.yaml").model_dump()
    settings["quality"]["fasttext"] |= {"bucket": 20_000, "epoch": 5}
    return TagConfig.model_validate(settings)


def test_the_safety_label_of_the_filter_stage_is_kept(config: TagConfig, tmp_path: Path):
    prose, boilerplate = (
        pl.Series((DATA / f"{name}_zh.txt").read_text("utf-8").splitlines())
        for name in ("novel", "interface")
    )
    train_quality(prose, boilerplate, config.quality, tmp_path / "quality.bin")
    rows = {"doc_id": ["a", "b"], "source": "cc", "lang": "zh", "text": prose[:2], "safety": ["", "violence"]}
    documents = pl.DataFrame(rows).match_to_schema(FILTERED, missing_columns="insert")
    tagged = tag_documents(documents, config, {"cc": "crawl"}, tmp_path / "quality.bin").documents
    assert tagged.schema == TAGGED
    assert set(FILTERED) <= set(TAGGED)
    assert tagged["safety"].to_list() == ["", "violence"]
    assert tagged["tags"].list.last().to_list() == ["safety:none", "safety:violence"]
