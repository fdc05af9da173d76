"""Real Chinese and English documents, and edited copies of them."""

import random
import runpy
from collections.abc import Callable
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import polars as pl
import pytest

from phoenix_assets.dedup.config import GroupConfig, ShingleConfig, SignatureConfig

CHINESE = Path(__file__).parent / "data" / "sanguo.txt"
SIGNATURE_LAKE = Path(__file__).with_name("signature_lake.py")


@pytest.fixture(scope="session")
def chinese() -> list[str]:
    text = CHINESE.read_text("utf-8")
    return [text[at : at + 300] for at in range(0, len(text) - 300, 300)]


@pytest.fixture(scope="session")
def english() -> list[str]:
    text = "\n".join(topics[name] for name in sorted(topics))
    return [text[at : at + 1200] for at in range(0, len(text) - 1200, 1200)][:250]


@pytest.fixture(scope="session")
def edited_pairs(chinese, english) -> pl.DataFrame:
    """`text` and an edited copy `other` that has lost one passage, of 0 to 40 % of its length."""
    draw = random.Random(7)
    pairs = []
    for text in chinese + english:
        cut = int(len(text) * draw.uniform(0.0, 0.4))
        at = draw.randrange(len(text) - cut)
        pairs.append((text, text[:at] + text[at + cut :]))
    return pl.DataFrame(pairs, schema=["text", "other"], orient="row")


@pytest.fixture(scope="session")
def signature_config() -> SignatureConfig:
    return SignatureConfig(permutations=112, seed=1, shingle=ShingleConfig(words=5, characters=5))


@pytest.fixture(scope="session")
def group() -> GroupConfig:
    return GroupConfig(sources=["cc"], bands=14, rows=8, threshold=0.75, compared=32)


@pytest.fixture(scope="session")
def signature_lake() -> Callable[..., Any]:
    """How to make a lake of signatures and their indexes: `signature_lake.py` says more."""
    return runpy.run_path(str(SIGNATURE_LAKE))["SignatureLake"]


@pytest.fixture(scope="session")
def made_texts() -> Callable[[int, int], list[str]]:
    """How to make texts of which a third is kept."""
    return runpy.run_path(str(SIGNATURE_LAKE))["texts"]
