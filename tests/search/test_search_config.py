"""A search is a file: what is wrong with one is said when it is read."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from phoenix_assets.errors import ConfigError
from phoenix_assets.search.config import SurfaceKind, load_searches

PROJECT = Path(__file__).resolve().parents[2] / "config"


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The project's search with other values."""
    shutil.copytree(PROJECT, tmp_path / "config")
    monkeypatch.setenv("PHOENIX_CONFIG", str(tmp_path / "config"))
    path = tmp_path / "config/searches/v3.yaml"

    def change(**values: object) -> None:
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text("utf-8")) | values))

    return change


def test_the_project_s_search_varies_components_of_its_mixture_and_tries_every_kind_of_surface() -> None:
    search = load_searches()["v3"]
    assert search.components == ("crawl", "wiki", "book", "code", "qa")
    assert search.samples.number == 64
    assert set(search.regression.kinds) == set(SurfaceKind)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"mixture": "v0"}, r"searches/v3\.yaml: no mixture 'v0'; there are: .*v3"),
        ({"components": ["crawl", "news"]}, r"v3 has no component 'news' of its own; it has: crawl"),
        ({"components": ["crawl"]}, r"components"),
        ({"components": ["crawl", "crawl"]}, r"one comes twice"),
        ({"target": [{"weight": 2}]}, r"give component, lang or both"),
        ({"samples": {"number": 3, "concentration": [5, 1], "seed": 0}}, r"a low bound above 0"),
    ],
)
def test_a_search_that_cannot_be_is_refused_with_the_file_and_the_reason(
    changed: Callable[..., None], values: dict[str, object], complaint: str
) -> None:
    changed(**values)
    with pytest.raises(ConfigError, match=complaint):
        load_searches()


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"size": "700b"}, r"no size '700b'; there are: .*5m"),
        ({"batch": {"tokens": 1024, "sequence_length": 256}}, r"4 sequences has no room for 5 components"),
    ],
)
def test_a_proxy_that_cannot_be_is_refused(
    changed: Callable[..., None], values: dict[str, object], complaint: str
) -> None:
    proxy = yaml.safe_load((PROJECT / "searches/v3.yaml").read_text("utf-8"))["proxy"]
    changed(proxy=proxy | values)
    with pytest.raises(ConfigError, match=complaint):
        load_searches()
