"""Licence identifiers are SPDX's, or a vendor's own that say so."""

import pytest

from phoenix_assets.ingest.delivery import Licence, Use
from phoenix_assets.ingest.download_config import load_downloads
from phoenix_assets.ingest.sample.build import load_sample_config
from phoenix_assets.spdx import licence_id, spdx_ids


@pytest.mark.parametrize("licence", ["MIT", "GPL-2.0-or-later", "LicenseRef-Vendor-2024.1"])
def test_ids_of_the_list_and_own_ones_are_taken(licence: str) -> None:
    assert licence_id(licence) == licence


@pytest.mark.parametrize(
    ("typed", "meant"), [("mit", "MIT"), ("Apache2.0", "Apache-2.0"), ("CC-BY-SA-4", "CC-BY-SA-4.0")]
)
def test_an_id_that_is_not_on_the_list_is_refused_with_the_one_that_was_meant(typed: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean.*{meant}"):
        licence_id(typed)


@pytest.mark.parametrize(
    "typed", ["", "Proprietary", "LicenseRef-", "LicenseRef-a b", "Classpath-exception-2.0", "MIT\n"]
)
def test_what_is_no_licence_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="LicenseRef-<name>"):
        Licence(id=typed, allows=(Use.PRETRAINING,))


def test_the_list_is_whole() -> None:
    assert len(spdx_ids()) > 600
    assert {"AFL-3.0", "CC0-1.0", "Zlib"} <= spdx_ids()


def test_the_samples_and_the_crawls_licences_are_ids() -> None:
    sample = load_sample_config()
    licences = {sample.licence(delivery) for delivery in sample.deliveries}
    licences |= {source.licence.id for source in load_downloads().values()}
    assert {licence_id(one) for one in licences} == licences
