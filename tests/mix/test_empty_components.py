"""A component without documents says why, and is an error only when no document can ever be in it."""

import polars as pl
import pytest

from phoenix_assets.errors import ConfigError
from phoenix_assets.mix.assign import CANDIDATE
from phoenix_assets.mix.config import Mixture
from phoenix_assets.mix.empty import explain_empty, require_documents

DOCUMENTS = pl.DataFrame(
    [
        ("0" * 32, "cc", "d1", "zh", ["lang:zh", "quality:low"], 0.2, "", 5, 15),
        ("1" * 32, "cc", "d2", "en", ["lang:en", "quality:low"], 0.4, "", 5, 5),
        ("2" * 32, "code", "d1", "en", ["lang:en"], None, "", 5, 5),
    ],
    schema=CANDIDATE,
    orient="row",
)


def explained(**component: object):
    recipe = Mixture.model_validate(
        {
            "version": "v9",
            "seed": 1,
            "heldout": {"fraction": 0},
            "validation": {"fraction": 0},
            "components": {"part": component},
        }
    )
    (found,) = explain_empty(lambda: DOCUMENTS.iter_slices(1), recipe, ["part"])
    return found


@pytest.mark.parametrize(
    ("component", "why"),
    [
        ({"sources": ["cc"], "languages": ["cn"]}, "there is no language 'cn'; there are: 'en', 'zh'"),
        (
            {"sources": ["cc"], "tags": ["lang:fr"]},
            "there is no tag 'lang:fr'; there are: 'lang:en', 'lang:zh'",
        ),
        ({"sources": ["cc"], "deliveries": ["d7"]}, "there is no delivery 'd7'; there are: 'd1', 'd2'"),
        ({"sources": ["cc"], "min_quality": 0.9}, "min_quality is 0.9, the best is 0.4"),
        ({"sources": ["code"], "min_quality": 0.9}, "min_quality is 0.9, none is scored"),
        (
            {"sources": ["cc"], "languages": ["zh"], "min_quality": 0.3},
            "2 documents of cc meets its conditions together",
        ),
    ],
)
def test_a_condition_that_no_document_meets_is_named_and_is_an_error(component: dict, why: str) -> None:
    found = explained(**component)
    assert found.wrong and why in found.why
    with pytest.raises(ConfigError, match="mixture v9: component 'part' has no documents: none of "):
        require_documents([found], "v9")


def test_a_source_that_has_delivered_nothing_yet_is_no_error() -> None:
    found = explained(sources=["wiki"])
    assert (found.why, found.wrong) == ("there are no tagged documents of wiki", False)
    require_documents([found], "v9")


def test_a_component_whose_documents_others_take_is_no_error() -> None:
    found = explained(sources=["cc"])
    assert not found.wrong and found.why.startswith("2 documents meet its conditions")
