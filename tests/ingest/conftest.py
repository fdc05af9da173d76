"""The limits that ship with the project, and ways to make them small."""

from collections.abc import Callable
from typing import Any

import pytest

from phoenix_assets.ingest.config import ReaderLimits, reader_limits


@pytest.fixture
def limits() -> ReaderLimits:
    return reader_limits()


@pytest.fixture
def limits_with(limits: ReaderLimits) -> Callable[..., ReaderLimits]:
    def make(**changes: Any) -> ReaderLimits:
        return ReaderLimits.model_validate({**limits.model_dump(), **changes})

    return make
