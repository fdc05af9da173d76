import dagster as dg

from phoenix_assets.clean.assets import LID, clean_assets, kenlm_key, model_assets
from phoenix_assets.config import config_dir
from phoenix_assets.sources import load_sources

PRETRAINED = 'pretrained:\n  zh: {location: zh.binary, sha256: "%s", licence: CC0-1.0}\n'


def keys(asset):
    return {key.to_user_string() for key in asset.dependency_keys}


def normalized(source):
    return clean_assets(source, load_sources()[source])[0]


def models():
    return {asset.key.to_user_string(): asset for asset in model_assets()}


def test_a_source_that_removes_foreign_paragraphs_reads_the_language_model():
    assert keys(normalized("cc")) == {"cc/extracted", LID}
    assert keys(normalized("parallel")) == {"parallel/extracted"}


def versions(folder, sha256, monkeypatch):
    for path in config_dir().glob("*.yaml"):
        if path.name not in {"kenlm.yaml"}:
            (folder / path.name).write_text(path.read_text("utf-8"), "utf-8")
    trained = (
        (config_dir() / "kenlm.yaml").read_text("utf-8").replace("pretrained: {}\n", PRETRAINED % sha256)
    )
    (folder / "kenlm.yaml").write_text(trained, "utf-8")
    with monkeypatch.context() as patch:
        patch.setenv("PHOENIX_CONFIG", str(folder))
        found = models()
    return found, {lang: found[kenlm_key(lang)].code_versions_by_key for lang in ("zh", "en")}


def test_a_pretrained_model_reads_nothing_and_another_one_is_another_version(tmp_path, monkeypatch):
    trained = models()
    one, first = versions(tmp_path, "0" * 64, monkeypatch)
    _, second = versions(tmp_path, "1" * 64, monkeypatch)
    assert LID in keys(trained[kenlm_key("zh")])
    assert keys(one[kenlm_key("zh")]) == set()
    assert keys(one[kenlm_key("en")]) == keys(trained[kenlm_key("en")])
    assert first["zh"] != second["zh"]
    assert first["en"] == second["en"] == trained[kenlm_key("en")].code_versions_by_key
    assert isinstance(one[kenlm_key("zh")], dg.AssetsDefinition)
