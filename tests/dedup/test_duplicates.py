"""The index of a group from documents to decisions, whole and by deliveries."""

from datetime import date

import polars as pl
import pytest

from phoenix_assets.dedup.duplicates import DOCUMENT, Kind, find_duplicates, match_keys, neighbours
from phoenix_assets.dedup.exact import exact_hash
from phoenix_assets.dedup.minhash import signatures, to_binary


def prepared(
    texts: dict[str, str], config, *, lang: str = "zh", delivery: str = "d1", day: int = 1
) -> pl.DataFrame:
    text = pl.Series(list(texts.values()), dtype=pl.String)
    return pl.DataFrame(
        {
            "doc_id": list(texts),
            "lang": lang,
            "source_rank": 0,
            "received": date(2026, 1, day),
            "delivery": delivery,
            "already_kept": None,
            "earlier_duplicate_of": None,
            "signature": to_binary(signatures(text, config)),
            "exact_hash": exact_hash(text),
        },
        schema=DOCUMENT,
    )


def with_decisions(documents: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    earlier = decisions.select("doc_id", already_kept="kept", earlier_duplicate_of="duplicate_of")
    known = documents.drop("already_kept", "earlier_duplicate_of").join(earlier, on="doc_id", how="left")
    return known.select(DOCUMENT.names())


@pytest.fixture(scope="module")
def collection(chinese, english, edited_pairs, signature_config) -> pl.DataFrame:
    texts = {f"{number:04}": text for number, text in enumerate(edited_pairs["text"])}
    texts |= {f"{number:04}-edited": text for number, text in enumerate(edited_pairs["other"])}
    texts |= {
        f"{number:04}-spaced": text.upper() + " !" for number, text in enumerate(english[:50], len(chinese))
    }
    return prepared(texts, signature_config)


def test_exact_and_near_copies_are_dropped_behind_the_earliest_with_their_kind(
    chinese, group, signature_config
):
    text = chinese[3]
    texts = {"a": text, "b": text.replace("，", " "), "c": text[:-20], "d": chinese[5], "e": "", "f": "…"}
    decisions = find_duplicates(prepared(texts, signature_config), group, signature_config)
    assert decisions["duplicate_of"].to_list() == [None, "a", "a", None, None, None]
    assert decisions["kind"].to_list() == [None, Kind.EXACT, Kind.NEAR, None, None, None]
    assert decisions["similarity"][1] == 1.0
    assert 0.75 <= decisions["similarity"][2] < 1.0


def test_copies_whose_signatures_differ_are_exact_duplicates_when_their_letters_agree(
    group, signature_config
):
    texts = {"a": "one two three four five six", "b": "onetwo threefour five six"}
    decisions = find_duplicates(prepared(texts, signature_config), group, signature_config)
    assert decisions["duplicate_of"].to_list() == [None, "a"]
    assert decisions["kind"].to_list() == [None, Kind.EXACT]


def test_a_large_share_of_injected_duplicates_goes_and_originals_stay(
    collection, chinese, group, signature_config
):
    decisions = find_duplicates(collection, group, signature_config)
    dropped = decisions.filter(~pl.col("kept"))
    assert decisions.height == collection.height
    assert dropped["doc_id"].str.ends_with("-spaced").sum() == 50
    assert 150 < dropped.height < 450
    novel = dropped.filter(pl.col("doc_id").str.slice(0, 4).str.to_integer() < len(chinese))
    assert (novel["doc_id"].str.slice(0, 4) == novel["duplicate_of"].str.slice(0, 4)).all()
    kept = decisions.filter("kept")["doc_id"].implode()
    assert dropped["duplicate_of"].is_in(kept).all()


def test_the_order_of_rows_does_not_matter(collection, group, signature_config):
    shuffled = collection.sample(fraction=1.0, shuffle=True, seed=5)
    first = find_duplicates(collection, group, signature_config)
    assert first.equals(find_duplicates(shuffled, group, signature_config))


def test_deciding_again_on_top_of_the_decisions_changes_nothing(collection, group, signature_config):
    first = find_duplicates(collection, group, signature_config)
    again = find_duplicates(with_decisions(collection, first), group, signature_config)
    assert again.equals(first)


def test_a_new_delivery_displaces_nothing(collection, group, signature_config):
    old = collection.filter(~pl.col("doc_id").str.ends_with("-edited"))
    decided = find_duplicates(old, group, signature_config)
    better = with_decisions(collection, decided).with_columns(
        source_rank=pl.when(pl.col("already_kept").is_null()).then(-1).otherwise(0).cast(pl.Int64)
    )
    after = find_duplicates(better, group, signature_config)
    assert after.join(decided.select("doc_id"), on="doc_id", how="semi").equals(decided)


def test_a_dropped_document_stays_dropped_when_the_one_between_has_gone(chinese, group, signature_config):
    text = "".join(chinese[:3])
    texts = {"a": text, "b": text[130:], "c": text[260:]}
    documents = prepared(texts, signature_config)
    first = find_duplicates(documents, group, signature_config)
    assert first["duplicate_of"].to_list() == [None, "a", "a"]
    rest = documents.filter(pl.col("doc_id") != "b")
    assert find_duplicates(rest, group, signature_config)["kept"].all()
    after = find_duplicates(with_decisions(rest, first), group, signature_config)
    assert after["duplicate_of"].to_list() == [None, "a"]


def test_a_dropped_document_returns_when_its_survivor_is_erased(chinese, group, signature_config):
    documents = prepared({"a": chinese[0], "b": chinese[0] + "终"}, signature_config)
    first = find_duplicates(documents, group, signature_config)
    rest = with_decisions(documents, first).filter(pl.col("doc_id") == "b")
    assert find_duplicates(rest, group, signature_config)["kept"].to_list() == [True]


def test_languages_apart_means_apart_for_exact_and_near_copies(chinese, group, signature_config):
    apart = group.model_copy(update={"by_language": True})
    documents = pl.concat(
        [
            prepared({"a": chinese[0], "b": chinese[0]}, signature_config, lang="zh"),
            prepared({"c": chinese[0], "d": chinese[1]}, signature_config, lang="ja"),
        ]
    )
    assert find_duplicates(documents, apart, signature_config)["duplicate_of"].to_list() == [
        None, "a", None, None,
    ]  # fmt: skip
    assert find_duplicates(documents, group, signature_config)["duplicate_of"].to_list() == [
        None, "a", "a", None,
    ]  # fmt: skip


def test_no_documents_give_no_decisions(group, signature_config):
    for option in (group, group.model_copy(update={"by_language": True})):
        assert find_duplicates(pl.DataFrame(schema=DOCUMENT), option, signature_config).height == 0


def test_deciding_with_the_neighbours_alone_equals_deciding_with_the_whole_index(
    collection, group, signature_config
):
    is_new = pl.col("doc_id").str.slice(0, 4).str.to_integer() % 5 == 0
    old, new = collection.filter(~is_new), collection.filter(is_new)
    old = pl.concat([old, new.filter(pl.col("doc_id").str.len_chars() == 4)])
    new = collection.join(old, on="doc_id", how="anti")
    decided = find_duplicates(old, group, signature_config)
    keyed = old.with_columns(match_keys(old, group, signature_config))
    index = keyed.join(decided, on="doc_id", how="left")
    new_keys = new.with_columns(match_keys(new, group, signature_config))
    near = neighbours(index.lazy(), new_keys).collect()
    assert 0 < near.height < old.height / 2
    known = with_decisions(pl.concat([old.join(near, on="doc_id", how="semi"), new]), decided)
    part = find_duplicates(known, group, signature_config)
    whole = find_duplicates(with_decisions(collection, decided), group, signature_config)
    assert part.equals(whole.join(part, on="doc_id", how="semi"))
    rest = whole.join(part, on="doc_id", how="anti")
    assert rest.equals(decided.join(rest, on="doc_id", how="semi"))


def test_documents_whose_survivor_was_erased_are_neighbours_of_any_delivery(chinese, group, signature_config):
    documents = prepared({"a": chinese[0], "b": chinese[0]}, signature_config)
    decisions = find_duplicates(documents, group, signature_config)
    index = documents.with_columns(match_keys(documents, group, signature_config)).join(
        decisions, on="doc_id"
    )
    new = prepared({"n": chinese[9]}, signature_config)
    new = new.with_columns(match_keys(new, group, signature_config))
    erased = index.filter(pl.col("doc_id") != "a").lazy()
    assert neighbours(index.lazy(), new).collect().height == 0
    assert neighbours(erased, new).collect()["doc_id"].to_list() == ["b"]


def test_a_document_without_text_has_no_keys(group, signature_config):
    keys = match_keys(prepared({"a": "", "b": "word"}, signature_config), group, signature_config)
    assert keys.list.len().to_list() == [0, 15]
