"""`phoenix rebuild-index`, on the small corpus."""

from click.testing import CliRunner

from phoenix_assets.cli import main
from phoenix_assets.dedup.assets import index_keys

GROUP = "general"


def rebuild(group: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["rebuild-index", group])
    assert result.exit_code == code, result.output
    return result.output


def test_every_index_of_a_group_is_decided_anew_and_what_has_not_changed_stays_fresh(corpus):
    before, decided = corpus.record_ids(), {key: corpus.record(key) for key in index_keys(GROUP)}
    said = rebuild(GROUP)
    assert [line.split()[0] for line in said.splitlines() if line.endswith("decided anew")] == list(decided)
    after = corpus.record_ids()
    assert {
        asset for asset, partition in after if after[asset, partition] != before[asset, partition]
    } == set(decided)
    for key, old in decided.items():
        new = corpus.record(key).record
        assert old.as_input() not in new.inputs  # no decision of before had a say
        assert new.counts["rows_out"] == old.record.counts["rows_out"]
        assert new.content_hash == old.record.content_hash
    assert corpus.stale() == {}


def test_a_group_that_there_is_not_is_named(corpus):
    assert "no dedup group 'novels'; there are: book, code, general" in rebuild("novels", code=1)
