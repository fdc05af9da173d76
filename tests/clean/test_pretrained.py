import hashlib

import pytest

from phoenix_assets.clean.config import KenlmConfig
from phoenix_assets.config import config_dir, load
from phoenix_assets.errors import ConfigError, PhoenixError
from phoenix_assets.pretrained import PretrainedModel, fetch_pretrained


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOENIX_CONFIG", str(tmp_path))
    (tmp_path / "zh.binary").write_bytes(b"a model")
    digest = hashlib.sha256(b"a model").hexdigest()
    return PretrainedModel(location="zh.binary", sha256=digest, licence="CC0-1.0")


def test_a_file_is_copied_once_it_is_what_the_configuration_says(model, tmp_path):
    assert fetch_pretrained(model, tmp_path / "out").read_bytes() == b"a model"


def test_another_file_is_refused_and_nothing_stays(model, tmp_path):
    other = model.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(PhoenixError, match="expected 0000"):
        fetch_pretrained(other, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["zh.binary"]


@pytest.mark.parametrize("location", ["missing.binary", "http://a.example/zh.binary", "file:///zh.binary"])
def test_a_location_that_is_no_file_and_no_https_url_is_refused(model, tmp_path, location):
    with pytest.raises(ConfigError, match="correct the model's location"):
        fetch_pretrained(model.model_copy(update={"location": location}), tmp_path / "out")


def test_a_download_that_fails_says_so(model, tmp_path):
    with pytest.raises(PhoenixError, match="cannot be downloaded"):
        fetch_pretrained(model.model_copy(update={"location": "https://127.0.0.1:9/zh"}), tmp_path / "out")


def test_a_pretrained_model_is_configured_per_language():
    values = load(KenlmConfig, config_dir() / "kenlm.yaml").model_dump()
    pretrained = {"zh": {"location": "zh.binary", "sha256": "0" * 64, "licence": "CC0-1.0"}}
    assert (
        KenlmConfig.model_validate(values | {"pretrained": pretrained}).pretrained["zh"].location
        == "zh.binary"
    )
