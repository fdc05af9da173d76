"""What stands behind mixtures and datasets, and how people name them."""

import polars as pl
import pytest

from phoenix_assets.audit.named import dataset_named
from phoenix_assets.audit.upstream import audit_dataset, audit_mixture
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import SideTable
from phoenix_assets.tokens.trace import TraceIndex


@pytest.fixture(scope="module")
def home(small_corpus, home_at):
    return home_at(small_corpus)


@pytest.fixture(scope="module")
def mixture(home):
    return audit_mixture(home.lake, home.ledger, "v3", verified=False)


def test_a_mixtures_deliveries_add_up_to_what_it_chose_and_to_the_tokens_of_its_shards(home, mixture) -> None:
    chosen = home.lake.read(home.record("mix/v3").as_input()).collect()
    counted = {(row["source"], row["delivery"]): row["documents"] for row in mixture["deliveries"]}
    by_hand = {row[:2]: row[2] for row in chosen.group_by("source", "delivery").len().iter_rows()}
    assert {place: count for place, count in counted.items() if count} == by_hand
    tokens = home.record("tokens/v3").record
    assert (
        sum(row["tokens"] for row in mixture["deliveries"])
        == tokens.counts["tokens"]
        == mixture["mixture"]["tokens"]
    )
    trace = TraceIndex(home.lake.files_folder(tokens.side_tables[SideTable.FILES]), "train").frame()
    qa = next(row for row in mixture["deliveries"] if row["delivery"] == "debian-faq-2024-06")
    assert qa["tokens"] >= trace.filter(delivery="debian-faq-2024-06")["tokens"].sum() > 0


def test_a_mixture_names_every_file_licence_model_rule_and_code_version_behind_it(home, mixture) -> None:
    heads = home.heads()
    raw = {place: stored for place, stored in heads.items() if place[0].endswith("/raw")}
    assert {(f"{row['source']}/raw", row["delivery"]) for row in mixture["deliveries"]} == set(raw)
    for row in mixture["deliveries"]:
        stored = raw[f"{row['source']}/raw", row["delivery"]]
        files = home.lake.read(stored.as_input()).collect()
        assert [(one["file"], one["sha256"]) for one in row["files"]] == files.sort("file").select(
            "file", "sha256"
        ).rows()
        assert (
            row["licences"] and row["documents_at_stage"]["tagged"] <= row["documents_at_stage"]["extracted"]
        )
    models = {one["asset"] for one in mixture["models"]}
    assert {"models/lid", "models/kenlm_zh", "models/quality"} <= models
    thresholds = [rule for rule in mixture["rules"] if rule["asset"] == "cc/filtered"]
    assert thresholds[0]["config"]["filter_profile"]["rules"]["cond_check_perplexity"]["below"]
    assert mixture["code_versions"]["mix/v3"] == [home.record("mix/v3").record.code_version]


def test_a_dataset_is_named_by_asset_by_partition_and_by_version(home) -> None:
    stored = home.record("wiki/filtered", "enwiki-20160501")
    version = stored.record.data_version
    for name in ("wiki/filtered", "wiki/filtered[enwiki-20160501]", f"wiki/filtered@{version}",
                 f"wiki/filtered@{version[:12]}", f"wiki/filtered@{stored.storage_version}"):  # fmt: skip
        assert dataset_named(home.lake, home.ledger, name) == [stored], name
    (row,) = [
        row
        for row in audit_dataset(home.lake, home.ledger, "wiki/filtered", verified=False)["deliveries"]
        if row["source"] == "wiki"
    ]
    assert row["documents"] == stored.record.counts["rows_out"]


def test_a_name_that_means_nothing_is_an_error_that_lists_what_is_like_it(home) -> None:
    with pytest.raises(LineageError, match=r"no dataset 'viki/filtered'; .*there are .*wiki/filtered"):
        dataset_named(home.lake, home.ledger, "viki/filtered")
    with pytest.raises(LineageError, match=r"wiki/filtered@0000000000000000: nothing of it in the lake"):
        dataset_named(home.lake, home.ledger, "wiki/filtered@0000000000000000")


def test_a_table_at_a_storage_version_is_what_it_held_then(corpus) -> None:
    before = corpus.record("cc/tagged", "CC-MAIN-2024-22-000")
    frame = corpus.lake.read(before.as_input()).collect()
    then = corpus.lake.version("cc/tagged")
    from resources.build import Build

    build = Build(corpus.lake, corpus.ledger, "cc/tagged", "CC-MAIN-2024-22-000", "1", {}, "", ())
    build.commit_frame(frame.filter(pl.int_range(pl.len()) > 0))
    now = dataset_named(corpus.lake, corpus.ledger, "cc/tagged[CC-MAIN-2024-22-000]")
    earlier = dataset_named(corpus.lake, corpus.ledger, f"cc/tagged[CC-MAIN-2024-22-000]@{then}")
    assert earlier == [before] and now != earlier
