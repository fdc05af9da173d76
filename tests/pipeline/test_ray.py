"""A corpus that was made on this machine's processes is the same when a Ray cluster makes it again."""

import pytest

MAPPED = {
    "extracted",
    "normalized",
    "filtered",
    "signatures",
    "deduped",
    "paragraphs",
    "sentences",
    "trimmed",
    "tagged",
}


@pytest.mark.slow
def test_every_stage_made_again_on_ray_has_the_same_data_version(
    corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOENIX_ENGINE", "ray")
    monkeypatch.setenv("PHOENIX_WORKERS", "2")
    data_versions, records = corpus.data_versions(), corpus.record_ids()
    again = {(asset, part) for asset, part in records if asset.rpartition("/")[2] in MAPPED}
    again |= {(asset, part) for asset, part in records if asset.startswith("dedup/")}
    try:
        for asset, partition in sorted(again):
            corpus.make(asset, partition)
    finally:
        corpus.phoenix.engine.release()
    assert (corpus.path / "ray").is_dir()  # where our own cluster has its files
    assert corpus.data_versions() == data_versions
    assert {place for place, record in corpus.record_ids().items() if record != records[place]} == again
    assert len(again) > 50
