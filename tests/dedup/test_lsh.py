"""The keys of signatures."""

import polars as pl
import pytest

from phoenix_assets.dedup.lsh import band_keys
from phoenix_assets.dedup.minhash import signatures


def test_bands_that_do_not_fit_are_refused(signature_config):
    with pytest.raises(ValueError, match="15 bands x 8 rows do not fit signatures of 112"):
        band_keys(signatures(pl.Series(["a"]), signature_config), 15, 8)
