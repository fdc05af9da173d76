"""Frozen mixtures: pins hold whatever is committed later, and what they pin is kept, or its loss is loud."""

import shutil

import polars as pl
import pytest
import yaml
from deltalake import DeltaTable

from phoenix_assets.errors import ConfigError, LineageError, RecipeDrift, Withdrawn
from phoenix_assets.mix.config import Mixture, load_mixture, recipe_digest
from phoenix_assets.tag.stages import TAGGED
from resources.build import Build
from resources.candidates import candidates
from resources.frozen import (
    freeze,
    frozen_mixture,
    frozen_path,
    newest_inputs,
    pinned_versions,
    require_sound,
)
from resources.lake import Lake
from resources.ledger import LineageLedger

RECIPE = load_mixture("v1.1")
CC, BOOK = "cc/tagged", "book/tagged"


@pytest.fixture
def ledger(tmp_path) -> LineageLedger:
    ledger = LineageLedger(Lake(tmp_path))
    for delivery in ("a", "b"):
        tag(ledger, CC, delivery, "天下大势", "分久必合")
    tag(ledger, BOOK, "c", "合久必分")
    return ledger


def tag(ledger: LineageLedger, asset: str, delivery: str, *texts: str) -> None:
    rows = [
        {
            "doc_id": f"{number:032x}",
            "source": asset.split("/")[0],
            "delivery": delivery,
            "text": text,
            "lang": "zh",
        }
        for number, text in enumerate(texts)
    ]
    build = Build(ledger.lake, ledger, asset, delivery, "1", {}, "run", ())
    build.commit_frame(pl.DataFrame(rows, schema=TAGGED))


def documents(ledger: LineageLedger, recipe: Mixture = RECIPE) -> dict[str, int]:
    """Return the bytes of text by delivery of what the mixture is made from."""
    frozen = frozen_mixture(ledger.lake, recipe.version)
    inputs = frozen.inputs if frozen else newest_inputs(ledger, recipe)
    with candidates(ledger.lake, inputs, recipe) as batches:
        rows = pl.concat(batches())
    return dict(rows.group_by("delivery").agg(pl.col("bytes").sum()).sort("delivery").iter_rows())


def test_freezing_pins_every_tagged_partition_and_all_of_a_table_at_one_version(ledger) -> None:
    frozen = freeze(ledger, RECIPE)
    assert [(one.asset, one.partition) for one in frozen.inputs] == [(BOOK, "c"), (CC, "a"), (CC, "b")]
    assert pinned_versions(ledger.lake) == {
        BOOK: [ledger.lake.version(BOOK)], CC: [ledger.lake.version(CC)],
    }  # fmt: skip
    heads = ledger.all_heads([CC, BOOK])
    assert {one.data_version for one in frozen.inputs} == {
        stored.record.data_version for partitions in heads.values() for stored in partitions.values()
    }
    assert frozen_mixture(ledger.lake, "v1.1") == frozen


def test_later_deliveries_and_other_thresholds_do_not_alter_a_frozen_mixture(ledger) -> None:
    freeze(ledger, RECIPE)
    before = documents(ledger)
    tag(ledger, CC, "later", "话说天下大势")
    tag(ledger, CC, "a", "天下大势")  # a threshold drops one now
    assert documents(ledger) == before
    frozen_path(ledger.lake, "v1.1").unlink()
    assert documents(ledger) == {**before, "a": 12, "later": 18}


def test_what_the_mixture_was_made_from_is_pinned_not_what_has_come_since(ledger) -> None:
    inputs = newest_inputs(ledger, RECIPE)
    config = {"recipe_digest": recipe_digest(RECIPE)}
    made = Build(ledger.lake, ledger, "mix/v1.1", "", "1", config, "run", inputs, partitioned_by=None)
    made.commit_frame(pl.DataFrame({"doc_id": ["0"]}))
    tag(ledger, CC, "later", "话说天下大势")
    assert freeze(ledger, RECIPE).inputs == inputs


def test_a_changed_recipe_is_drift_that_says_what_changed_and_what_to_do(ledger) -> None:
    frozen = freeze(ledger, RECIPE)
    frozen.require_recipe(RECIPE)
    crawl = RECIPE.components["crawl"].model_copy(update={"rate": 0.5})
    changed = RECIPE.model_copy(update={"components": RECIPE.components | {"crawl": crawl}})
    with pytest.raises(RecipeDrift, match=r"components\.crawl\.rate: 0\.43 became 0\.5.*base: v1\.1"):
        frozen.require_recipe(changed)


def test_a_vacuum_that_keeps_the_pinned_versions_leaves_a_frozen_mixture_whole(ledger) -> None:
    freeze(ledger, RECIPE)
    before = documents(ledger)
    tag(ledger, CC, "a", "天下大势")
    tag(ledger, CC, "a", "")
    vacuum(ledger, CC, pinned_versions(ledger.lake)[CC])
    require_sound(ledger, "v1.1")
    assert documents(ledger) == before


def test_a_vacuum_that_keeps_nothing_withdraws_it_naming_the_delivery(ledger) -> None:
    freeze(ledger, RECIPE)
    tag(ledger, CC, "a", "天下大势")
    vacuum(ledger, CC, [])
    with pytest.raises(Withdrawn, match=r"v1\.1 is withdrawn: it was frozen with cc/tagged\[a\], whose data"):
        require_sound(ledger, "v1.1")


def vacuum(ledger: LineageLedger, asset: str, keep: list[int]) -> None:
    table = DeltaTable(str(ledger.lake.table_dir(asset)))
    removed = table.vacuum(
        retention_hours=0, dry_run=False, enforce_retention_duration=False, keep_versions=keep
    )
    assert removed


def test_a_table_that_is_gone_or_was_made_anew_withdraws_what_pins_it(ledger) -> None:
    freeze(ledger, RECIPE)
    shutil.rmtree(ledger.lake.table_dir(BOOK))
    with pytest.raises(Withdrawn, match=r"book/tagged\[c\]"):
        require_sound(ledger, "v1.1")
    tag(ledger, BOOK, "c", "another text")
    with pytest.raises(Withdrawn, match=r"book/tagged\[c\]"):
        require_sound(LineageLedger(ledger.lake), "v1.1")


def test_an_open_mixture_pins_nothing_and_is_sound(ledger) -> None:
    assert require_sound(ledger, "v1.1") is None
    assert pinned_versions(ledger.lake) == {}


def test_a_mixture_is_frozen_once_and_only_when_there_is_something_to_pin(ledger) -> None:
    freeze(ledger, RECIPE)
    with pytest.raises(ConfigError, match=r"v1\.1 is frozen already; to open it again, delete "):
        freeze(ledger, RECIPE)
    wiki = RECIPE.components["crawl"].model_copy(update={"sources": ("wiki",)})
    nothing = RECIPE.model_copy(update={"version": "v0", "components": {"wiki": wiki}})
    with pytest.raises(LineageError, match="mixture v0: nothing is tagged of wiki; run `phoenix materialize"):
        freeze(ledger, nothing)


def test_a_damaged_lock_is_a_message_with_its_file(ledger) -> None:
    freeze(ledger, RECIPE)
    path = frozen_path(ledger.lake, "v1.1")
    values = yaml.safe_load(path.read_text("utf-8"))
    path.write_text(yaml.safe_dump(values | {"inputs": "all"}), "utf-8")
    with pytest.raises(ConfigError, match=r"frozen/v1\.1\.yaml"):
        frozen_mixture(ledger.lake, "v1.1")


def test_a_recipe_that_excludes_labels_refuses_documents_that_were_tagged_without(ledger) -> None:
    row = {"doc_id": "f" * 32, "text": "x", "source": "qa", "lang": "zh", "tags": ["lang:zh"], "quality": 0.5}
    frame = pl.DataFrame([row])
    Build(ledger.lake, ledger, "qa/tagged", "old", "1", {}, "run", ()).commit_frame(frame)
    inputs = [stored.as_input() for stored in ledger.heads("qa/tagged").values()]
    part = RECIPE.components["qa"].model_copy(update={"exclude_safety": ("drugs",)})
    with candidates(ledger.lake, inputs, RECIPE) as batches:
        assert [batch["doc_id"].to_list() for batch in batches()] == [["f" * 32]]
    with pytest.raises(LineageError, match="qa/tagged: version 1 was tagged without safety labels"):
        candidates(ledger.lake, inputs, RECIPE.model_copy(update={"components": {"qa": part}})).__enter__()
