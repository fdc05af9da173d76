"""Paragraphs and sentences over deliveries that come, change and go, from texts to what is left of them."""

import shutil
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from phoenix_assets.config import load
from phoenix_assets.dedup.config import DedupConfig
from phoenix_assets.dedup.levels import PassageLevel
from phoenix_assets.dedup.passages.config import Passage
from phoenix_assets.dedup.passages.trimming import (
    PASSAGE_DECISION,
    PASSAGE_PRINTS,
    drop_passages,
    passage_rows,
)
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import SideTable, StoredRecord
from phoenix_assets.schema import StageOutput, document_id
from resources.build import Build
from resources.dedup_index import Decided, decide, origin
from resources.lake import Lake
from resources.ledger import LineageLedger

CONFIG = Path(__file__).parents[2] / "config" / "dedup.yaml"
CHINESE = Path(__file__).parent / "data" / "sanguo.txt"
NOTICE = "This page is free documentation: you may copy it, change it and pass it on, as long as this notice stays with it."
HINWEIS = "本页面的中文版由中文手册页计划提供，您可以自由地复制、修改和分发它，只要保留这一段声明。"
FOOTER = "Translated by the volunteers of the manual pages project."
TOPICS = ("stars", "rivers", "bridges", "violins", "glaciers", "harbours", "orchards", "railways")


def page(topic: str, number: int, *shared: str) -> str:
    """Return a page of five long paragraphs that only it has, and the shared ones after them."""
    own = [
        f"{topic.title()} {word} the {number * 7 + place} th chapter, which tells at length what nobody else says of {topic}."
        for place, word in enumerate(("open", "fill", "cross", "shape", "close"))
    ]
    return "\n\n".join([*own, *shared])


class PassageLake:
    """The group `general` with nothing but the passages of what its sources have."""

    def __init__(self, home: Path, **sizes: int) -> None:
        committed = load(DedupConfig, CONFIG)
        limits = {"block_documents": 3, "block_passages": 12, "segment_passages": 40, **sizes}
        self.dedup = committed.model_copy(update={"passages": committed.passages.model_copy(update=limits)})
        self.lake = Lake(home)
        self.ledger = LineageLedger(self.lake)
        self.documents: dict[tuple[str, str], pl.DataFrame] = {}
        self.printed: dict[tuple[str, str, Passage], pl.DataFrame] = {}
        self.decided = pl.DataFrame(schema={**PASSAGE_DECISION, "origin": pl.String})

    def copy(self, home: Path) -> "PassageLake":
        """Return a lake in `home` that is as this one, and goes its own way from now on."""
        copied = PassageLake(Path(shutil.copytree(self.lake.home, home)))
        copied.documents, copied.printed, copied.decided = (
            dict(self.documents),
            dict(self.printed),
            self.decided,
        )
        return copied

    def land(self, delivery: str, texts: list[str], *, source: str = "cc", lang: str = "en") -> None:
        """Deliver texts (once more: instead of those that came before)."""
        self.documents[source, delivery] = pl.DataFrame(
            {
                "doc_id": [document_id(source, delivery, str(number)) for number in range(len(texts))],
                "source": source,
                "delivery": delivery,
                "lang": lang,
                "text": texts,
                "perplexity": [100.0 + number for number in range(len(texts))],
            }
        )

    def remove(self, delivery: str, *, source: str = "cc") -> None:
        del self.documents[source, delivery]

    def update(self) -> dict[Passage, Decided]:
        """Bring prints and indexes up to what is there."""
        done = {}
        for passage in Passage:
            self._print(passage)
            done[passage] = self._decide(passage)
        return done

    def trimmed(self, delivery: str, *, source: str = "cc") -> StageOutput:
        """Return what is left of a delivery, and its ledger."""
        documents = self.documents[source, delivery]
        return drop_passages(documents, self._decided(source, delivery), self.dedup.passage_rules(source))

    def text(self, delivery: str, number: int = 0, *, source: str = "cc") -> str:
        """Return what is left of one document."""
        rows = self.trimmed(delivery, source=source).documents
        return rows.filter(pl.col("doc_id") == document_id(source, delivery, str(number)))["text"].item()

    def head(self, passage: Passage) -> StoredRecord:
        stored = self.ledger.head(f"dedup/general/{passage.value}")
        assert stored is not None
        return stored

    def decisions(self, passage: Passage) -> pl.DataFrame:
        """Return all decisions of an index."""
        return (
            self.lake.read(self.head(passage).as_input())
            .select(PASSAGE_DECISION.names())
            .collect()
            .sort("doc_id")
        )

    def decided_alike(self, other: "PassageLake", *passages: Passage) -> bool:
        """Return whether another lake has the same decisions, whatever their numbers in the index are."""
        return all(
            self.decisions(passage)
            .drop("number", "behind")
            .equals(other.decisions(passage).drop("number", "behind"))
            for passage in passages or Passage
        )

    def _print(self, passage: Passage) -> None:
        for (source, delivery), documents in self.documents.items():
            rows = passage_rows(
                documents,
                self._decided(source, delivery) if passage.before else pl.DataFrame(schema=PASSAGE_DECISION),
                passage=passage,
                received=date(2024, 8, 1),
                rules=self.dedup.passage_rules(source),
                quality=self.dedup.quality,
            ).documents
            before = self.printed.get((source, delivery, passage))
            if before is not None and rows.equals(before):
                continue  # nothing asks for such a run
            self.printed[source, delivery, passage] = rows
            build = self._build(f"{source}/{passage.value}", delivery, "delivery")
            build.commit(PASSAGE_PRINTS, [build.stage(rows)], counts={"rows_out": rows.height}, licences=())

    def _decided(self, source: str, delivery: str) -> pl.DataFrame:
        mine = self.decided.filter(pl.col("origin") == origin(source, delivery))
        return mine.select(PASSAGE_DECISION.names())

    def _decide(self, passage: Passage) -> Decided:
        level = PassageLevel(passage, self.dedup.passage_rules("cc").max_share(passage), self.dedup.passages)
        with self.lake.scratch() as folder:
            done = decide(
                partial(self._resolved, passage), level, self.dedup, Path(folder), before=None, threads=1
            )
        rows = self.lake.read(done.stored.as_input()).select(self.decided.columns).collect()
        others = self.decided.filter(pl.col("granularity") != passage.value)
        self.decided = pl.concat([others, rows])
        return done

    def _resolved(self, passage: Passage) -> Build:
        build = self._build(f"dedup/general/{passage.value}", "", "origin")
        heads = self.ledger.all_heads()
        build.inputs = tuple(
            heads[f"{source}/{passage.value}"][delivery].as_input()
            for source, delivery in sorted(self.documents)
        )
        return build

    def _build(self, asset: str, partition: str, column: str) -> Build:
        return Build(
            lake=self.lake, ledger=self.ledger, asset=asset, partition=partition, code_version="1", config={},
            run_id="by hand", inputs=(), partitioned_by=column, table_version=self.lake.version(asset),
        )  # fmt: skip


@pytest.fixture
def lake(tmp_path) -> PassageLake:
    return PassageLake(tmp_path / "one")


@pytest.fixture
def other(tmp_path) -> PassageLake:
    return PassageLake(tmp_path / "other", block_documents=100, block_passages=1000, segment_passages=1000)


def test_a_notice_stays_with_the_first_page_that_has_it_and_the_others_say_with_which(lake) -> None:
    lake.land("a", [page("stars", 1, NOTICE), page("rivers", 2, NOTICE.upper())])
    lake.land("b", [page("bridges", 3, NOTICE)], source="wiki")
    lake.update()
    assert lake.text("b", source="wiki").endswith(NOTICE)
    assert [lake.text("a", number) for number in (0, 1)] == [page("stars", 1), page("rivers", 2)]
    rows = lake.decisions(Passage.PARAGRAPH).filter(pl.col("source") == "cc")
    assert rows["duplicated"].to_list() == [[5], [5]]
    assert rows["holder"].to_list() == [[document_id("wiki", "b", "0")]] * 2
    assert (rows["holder_source"].to_list(), rows["holder_delivery"].to_list()) == (
        [["wiki"]] * 2,
        [["b"]] * 2,
    )


def test_chinese_pages_are_treated_alike(lake) -> None:
    chapters = CHINESE.read_text("utf-8")[:1200]
    texts = [f"{chapters[:600]}\n{HINWEIS}", f"{chapters[600:]}\n\n{HINWEIS.replace('，', ', ')}\n"]
    lake.land("a", texts, lang="zh")
    lake.update()
    assert lake.text("a", 0) == texts[0]
    assert lake.text("a", 1) == chapters[600:]


def test_a_page_of_which_too_much_was_seen_goes_and_says_why(lake) -> None:
    lake.land("a", [page("stars", 1)])
    lake.land("b", ["\n\n".join([page("stars", 1), NOTICE]), page("rivers", 2)])
    lake.update()
    ledger = lake.trimmed("b").ledger.row(0, named=True)
    assert (ledger["kept"], ledger["drop_reason"]) == (False, "paragraph_duplicate")
    assert ledger["duplicate_of"] == document_id("cc", "a", "0")
    rules = dict(
        zip(ledger["rules_name"], zip(ledger["rules_value"], ledger["rules_cond"], strict=True), strict=True)
    )
    assert 0.75 < rules["paragraph_share"][0] < 0.9
    assert rules["paragraph_share"][1] is False
    assert ledger["chars_out"] == 0


def test_a_footer_that_is_too_short_for_a_paragraph_goes_as_a_sentence_at_the_end(lake) -> None:
    lake.land("a", [page("stars", 1, FOOTER), page("rivers", 2, "What is left to say of rivers. " + FOOTER)])
    lake.update()
    assert lake.text("a", 0).endswith(FOOTER)
    assert lake.text("a", 1) == page("rivers", 2, "What is left to say of rivers.")
    row = lake.trimmed("a").ledger.row(1, named=True)
    removed = dict(zip(row["rules_name"], row["rules_value"], strict=True))
    assert row["chars_in"] - row["chars_out"] == removed["sentences_characters"] == len(FOOTER) + 1
    assert removed["paragraphs_characters"] == removed["boilerplate_characters"] == 0


def test_what_the_paragraphs_have_taken_makes_room_for_the_sentences_before_it(lake) -> None:
    closing = [f"{NOTICE} ({word})" for word in ("one", "two", "three")]
    lake.land(
        "a", [page("stars", 1, FOOTER, *closing), page("rivers", 2), page("rivers", 3, FOOTER, *closing)]
    )
    lake.dedup = lake.dedup.model_copy(
        update={
            "passages": lake.dedup.passages.model_copy(
                update={
                    "groups": {
                        name: group.model_copy(
                            update={"paragraphs": group.paragraphs.model_copy(update={"max_share": 0.6})}
                        )
                        for name, group in lake.dedup.passages.groups.items()
                    }
                }
            )
        }
    )
    lake.update()
    assert lake.text("a", 2) == page(
        "rivers", 3, FOOTER
    )  # with the first page it was four sentences from the end
    lake.land("b", [page("violins", 4, FOOTER)])
    lake.update()
    assert lake.text("b") == page("violins", 4)


def test_boilerplate_goes_from_the_edges_alone(lake) -> None:
    lake.land(
        "a",
        [f"Home > Docs > Stars\n\n{page('stars', 1)}\n\nCopyright 2024 Example Ltd. All rights reserved."],
    )
    middle = page("rivers", 2, "Copyright 2024 is what the law says.", *page("bridges", 3).split("\n\n"))
    lake.land("b", [middle])
    lake.update()
    assert lake.text("a") == page("stars", 1)
    assert lake.text("b") == middle


def test_a_page_of_boilerplate_alone_goes_for_that_reason(lake) -> None:
    lake.land("a", ["We use cookies to improve your visit.\nAccept all cookies", page("stars", 1)])
    lake.update()
    ledger = lake.trimmed("a").ledger
    assert ledger["drop_reason"].to_list() == ["boilerplate", "success"]


def test_sources_that_are_exempt_stay_as_they_are_and_keep_nothing_from_others(lake) -> None:
    lake.land("pairs", [page("stars", 1, NOTICE), page("stars", 1, NOTICE)], source="parallel")
    lake.land("a", [page("stars", 1, NOTICE)])
    lake.update()
    assert (
        lake.trimmed("pairs", source="parallel").documents["text"].to_list() == [page("stars", 1, NOTICE)] * 2
    )
    assert lake.text("a") == page("stars", 1, NOTICE)


@pytest.fixture(scope="module")
def landed_once(tmp_path_factory) -> PassageLake:
    lake = PassageLake(tmp_path_factory.mktemp("landed") / "lake")
    lake.land("a", [page(topic, 1, NOTICE) for topic in TOPICS[:4]], source="wiki")
    lake.update()
    lake.land("b", [page(topic, number, NOTICE, FOOTER) for number, topic in enumerate(TOPICS[2:6], 2)])
    lake.update()
    return lake


@pytest.fixture
def landed(landed_once, tmp_path) -> PassageLake:
    """Return a lake to which two deliveries came one after the other."""
    return landed_once.copy(tmp_path / "landed")


def test_deliveries_in_the_order_of_their_priority_are_decided_as_all_at_once(landed_once, other) -> None:
    other.documents = dict(landed_once.documents)
    other.update()
    assert landed_once.decided_alike(other)
    assert landed_once.decisions(Passage.PARAGRAPH)["duplicated"].list.len().sum() > 5


def test_a_better_source_that_comes_later_takes_nothing_from_anybody(lake) -> None:
    lake.land("a", [page("stars", 1, NOTICE)])
    first = lake.update()[Passage.PARAGRAPH].stored.record
    lake.land("b", [page("rivers", 2, NOTICE)], source="wiki")
    second = lake.update()[Passage.PARAGRAPH].stored.record
    assert lake.text("a").endswith(NOTICE)
    assert lake.text("b", source="wiki") == page("rivers", 2)
    assert second.data_version == first.data_version, "what was there before stays fresh"
    assert (second.counts["added"], second.counts["revised"]) == (1, 0)


def test_a_delivery_that_goes_gives_back_what_it_covered(landed, other) -> None:
    version = landed.head(Passage.PARAGRAPH).record.data_version
    landed.remove("a", source="wiki")
    done = landed.update()[Passage.PARAGRAPH].stored.record
    other.documents = dict(landed.documents)
    other.update()
    assert landed.decided_alike(other, Passage.PARAGRAPH)
    assert done.data_version != version
    assert (done.counts["removed"], done.counts["revised"]) == (4, 4)
    left = "\n\n".join(landed.trimmed("b").documents["text"])
    assert (left.count(NOTICE), left.count(FOOTER)) == (1, 1)


def test_a_page_that_went_comes_back_when_what_it_was_a_copy_of_goes(lake) -> None:
    lake.land("a", [page("stars", 1)])
    lake.land("b", [page("stars", 1, NOTICE), page("rivers", 2, NOTICE)])
    lake.update()
    assert lake.trimmed("b").ledger["kept"].to_list() == [False, True]
    assert lake.text("b", 1).endswith(NOTICE), "a page that went keeps nothing from others"
    lake.remove("a")
    lake.update()
    assert lake.text("b", 0) == page("stars", 1), "what the other one has, it keeps"
    assert lake.text("b", 1).endswith(NOTICE)


def test_of_a_delivery_that_changed_only_what_differs_is_decided_anew(lake, other) -> None:
    texts = [page(topic, 1, NOTICE) for topic in TOPICS[:3]]
    changed = [texts[0], page("glaciers", 9, NOTICE), texts[2]]
    lake.land("a", texts)
    lake.update()
    lake.land("a", changed)
    done = lake.update()[Passage.PARAGRAPH].stored.record.counts
    assert (done["added"], done["removed"], done["revised"]) == (1, 1, 0)
    other.land("a", changed)
    other.update()
    assert lake.decided_alike(other)
    assert lake.update()[Passage.PARAGRAPH].stored.record.counts["added"] == 0


def test_a_damaged_index_is_made_again_with_the_decisions_that_stand(landed, tmp_path) -> None:
    landed.remove("a", source="wiki")  # so some of the index's numbers are of nothing
    landed.update()
    undamaged = landed.copy(tmp_path / "undamaged")
    for passage in Passage:
        table = landed.head(passage).record.side_tables[SideTable.FILES]
        files = landed.lake.read(table).filter(pl.col("path").str.ends_with("keys.npy")).collect()
        (landed.lake.table_dir(table.asset) / files["stored_at"][0]).write_bytes(b"no array")
    for one in (landed, undamaged):
        one.land("d", [page(topic, 1, NOTICE, FOOTER) for topic in TOPICS[3:6]])
    assert all("keys.npy" in decided.damage for decided in landed.update().values())
    undamaged.update()
    for one in (landed, undamaged):
        one.remove("b")
        one.update()
    assert landed.decided_alike(undamaged)


def test_a_document_that_no_index_has_seen_is_an_error(lake) -> None:
    lake.land("a", [page("stars", 1)])
    lake.update()
    lake.land("a", [page("stars", 1), page("rivers", 2)])
    with pytest.raises(
        LineageError, match="the index of paragraphs has not seen 1 of 2 documents; materialise"
    ):
        lake.trimmed("a")


def test_a_document_that_is_cut_otherwise_than_when_it_was_decided_is_an_error(lake) -> None:
    lake.land("a", [page("stars", 1)])
    lake.update()
    lake.land("a", [page("stars", 1, NOTICE)])
    with pytest.raises(LineageError, match="have other paragraphs than when they were compared"):
        lake.trimmed("a")
