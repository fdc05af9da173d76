"""Tags follow from language, source and score; nothing is left without one."""

import polars as pl
import pytest

from phoenix_assets.config import config_dir, load
from phoenix_assets.errors import ConfigError
from phoenix_assets.tag.config import TagConfig
from phoenix_assets.tag.tags import tag

CONFIG = load(TagConfig, config_dir() / "tags.yaml")
KINDS = {"cc": "crawl", "wiki": "encyclopedia", "qa": "qa"}


def tags_of(source: str, lang: str | None, quality: float | None, safety: str = "") -> list[str]:
    row = {"source": [source], "lang": [lang], "safety": [safety]}
    documents = pl.DataFrame(row, schema=dict.fromkeys(row, pl.String))
    return tag(documents, pl.Series([quality], dtype=pl.Float64), CONFIG, KINDS)["tags"][0].to_list()


@pytest.mark.parametrize(
    ("quality", "level"), [(0.0, "low"), (0.2999, "low"), (0.3, "medium"), (0.7, "high"), (1.0, "high")]
)
def test_the_level_is_the_highest_bound_that_the_score_reaches(quality: float, level: str):
    assert tags_of("cc", "zh", quality) == ["lang:zh", "kind:crawl", f"quality:{level}", "safety:none"]


def test_what_is_not_known_is_said():
    assert tags_of("wiki", "", None) == [
        "lang:unknown",
        "kind:encyclopedia",
        "quality:unscored",
        "safety:none",
    ]
    assert tags_of("wiki", None, None)[0] == "lang:unknown"


def test_a_safety_label_is_a_tag_to_select_by():
    assert tags_of("cc", "zh", 0.5, "gambling")[-1] == "safety:gambling"


def test_a_source_without_a_kind_is_named():
    with pytest.raises(ConfigError, match=r"no kind for source \['forum'\]"):
        tags_of("forum", "zh", 0.5)


def test_columns_are_added_and_none_is_changed():
    documents = pl.DataFrame(
        {"doc_id": ["a", "b"], "source": ["cc", "qa"], "lang": ["zh", "en"], "safety": ""}
    )
    tagged = tag(documents, pl.Series([0.1, 0.9]), CONFIG, KINDS)
    assert tagged.select(documents.columns).equals(documents)
    assert tagged.schema["tags"] == pl.List(pl.String)
    assert tagged["quality"].to_list() == [0.1, 0.9]


@pytest.mark.parametrize("levels", [{"low": 0.1}, {"low": 0, "high": 0}, {"low": 0, "high": 1.2}, {}])
def test_levels_that_leave_scores_out_are_refused(levels: dict[str, float]):
    with pytest.raises(ValueError, match="must start at 0"):
        TagConfig.model_validate(CONFIG.model_dump() | {"quality_levels": levels})
