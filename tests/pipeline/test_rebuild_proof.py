"""The rebuild proof over a whole chain: an index of duplicates, made in two versions, is made again version by version."""

import click.testing
import pytest

from phoenix_assets.cli import main
from phoenix_assets.ingest.sample.build import build_sample, load_sample_config

LATER = "sanguo-vol2"


@pytest.mark.slow
def test_what_was_decided_against_an_earlier_version_of_an_index_is_decided_so_again(corpus) -> None:
    sample = load_sample_config()
    later = tuple(one for one in sample.deliveries if one.delivery == LATER)
    build_sample(corpus.path, sample.model_copy(update={"deliveries": later}), small=True)
    corpus.take_landed()
    corpus.bring_up("book/deduped")
    arguments = ["rebuild", "book/deduped", "--partition", LATER, "--verify"]
    result = click.testing.CliRunner().invoke(main, arguments)
    assert (result.exit_code, "bit-identical" in result.output) == (0, True), result.output
    made = [line.split()[0] for line in result.output.splitlines()]
    assert made.count("dedup/book/near") == 2
    assert f"book/deduped[{LATER}]" in made
