"""Recall and loss against a token-by-token computation, and what they must not depend on."""

import math

import polars as pl
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from phoenix_assets.errors import ConfigError
from phoenix_assets.evaluate.recall import (
    EVALUATION,
    batches,
    choose,
    chunks,
    evaluate,
    score_documents,
    summarise,
)


def changed(config, **values):
    return type(config).model_validate({**config.model_dump(), **values})


def token_by_token(model, tokenizer: Tokenizer, text: str, context: int) -> list[tuple[float, int]]:
    """(loss, rank) of each token, predicted alone from what precedes it in its chunk."""
    ids = [0, *tokenizer.encode(text, add_special_tokens=False).ids]
    results = []
    for place in range(1, len(ids)):
        start = (place - 1) // context * context
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids[start:place]])).logits[0, -1].double()
        order = logits.argsort(descending=True, stable=True).tolist()
        results.append((-float(logits.log_softmax(0)[ids[place]]), order.index(ids[place])))
    return results


def test_scores_equal_a_token_by_token_computation(model_dir, tokenizer_json, documents, config):
    documents = documents.sort("doc_id")[::2]
    scores = score_documents(model_dir, tokenizer_json, documents, config)
    model = AutoModelForCausalLM.from_pretrained(model_dir)
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    assert scores["doc_id"].to_list() == sorted(documents["doc_id"])
    for text, score in zip(documents.sort("doc_id")["text"], scores.iter_rows(named=True), strict=True):
        expected = token_by_token(model, tokenizer, text, config.context)
        assert score["tokens"] == len(expected)
        assert score["nats"] == pytest.approx(sum(loss for loss, _ in expected), rel=1e-4)
        assert score["hits_top1"] == sum(rank < 1 for _, rank in expected)
        assert score["hits_top5"] == sum(rank < 5 for _, rank in expected)


def test_some_documents_are_longer_than_the_context(tokenizer_json, documents, config):
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    lengths = [len(tokenizer.encode(text).ids) for text in documents["text"]]
    assert max(lengths) > 2 * config.context


@pytest.mark.parametrize(("batch_tokens", "batch_documents"), [(32, 1), (100, 2), (100_000, 1000)])
def test_the_batch_size_does_not_matter(
    model_dir, tokenizer_json, documents, config, batch_tokens, batch_documents
):
    other = changed(config, batch_tokens=batch_tokens, batch_documents=batch_documents)
    first = evaluate(model_dir, tokenizer_json, documents, config)
    second = evaluate(model_dir, tokenizer_json, documents, other)
    exact = ["lang", "source", "documents", "tokens", "chars", "bytes", "recall_top1", "recall_top5"]
    assert first.select(exact).equals(second.select(exact))
    assert second["loss"].to_list() == pytest.approx(first["loss"].to_list(), rel=1e-5)


def test_the_order_of_documents_does_not_matter(model_dir, tokenizer_json, documents, config):
    first = evaluate(model_dir, tokenizer_json, documents, config)
    assert first.equals(evaluate(model_dir, tokenizer_json, documents.reverse(), config))


def test_rows_are_all_then_languages_then_sources(model_dir, tokenizer_json, documents, config):
    result = evaluate(model_dir, tokenizer_json, documents, config)
    assert result.schema == pl.Schema({**EVALUATION, "recall_top1": pl.Float64, "recall_top5": pl.Float64})
    assert result.select("lang", "source").rows() == [
        ("all", "all"),
        ("en", "all"),
        ("zh", "all"),
        ("en", "book"),
        ("en", "wiki"),
        ("zh", "book"),
        ("zh", "wiki"),
    ]
    for part in (result[1:3], result[3:]):
        for column in ("documents", "tokens", "chars", "bytes"):
            assert part[column].sum() == result[column][0]
        assert (part["loss"] * part["tokens"]).sum() / result["tokens"][0] == pytest.approx(result["loss"][0])


def test_measures_agree_with_each_other(model_dir, tokenizer_json, documents, config):
    for row in evaluate(model_dir, tokenizer_json, documents, config).iter_rows(named=True):
        bits = row["loss"] * row["tokens"] / math.log(2)
        assert row["perplexity"] == pytest.approx(math.exp(row["loss"]))
        assert row["bits_per_char"] * row["chars"] == pytest.approx(bits)
        assert row["bits_per_byte"] * row["bytes"] == pytest.approx(bits)
        assert 0 <= row["recall_top1"] <= row["recall_top5"] <= 1


def test_a_model_that_knows_a_text_by_heart_recalls_all_of_it(
    model_dir, tokenizer_json, documents, config, tmp_path
):
    verse = documents.filter(pl.col("text").str.starts_with("滚滚"))
    ids = Tokenizer.from_file(str(tokenizer_json)).encode(verse["text"][0]).ids
    inputs = torch.tensor([[0, *ids]])
    model = LlamaForCausalLM.from_pretrained(model_dir)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(300):
        loss = model(input_ids=inputs, labels=inputs).loss
        if float(loss) < 0.05:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(tmp_path)
    whole = changed(config, context=len(ids))
    result = evaluate(tmp_path, tokenizer_json, verse, whole)
    assert result["recall_top1"].to_list() == [1.0, 1.0, 1.0]
    assert result["loss"][0] < 0.1


def test_a_model_without_preference_recalls_nothing(model_dir, tokenizer_json, documents, config, tmp_path):
    model = LlamaForCausalLM.from_pretrained(model_dir)
    torch.nn.init.zeros_(model.lm_head.weight)
    model.save_pretrained(tmp_path)
    result = evaluate(tmp_path, tokenizer_json, documents, config)
    assert result["loss"].to_list() == pytest.approx([math.log(320)] * 7)
    assert result["recall_top5"].max() < 0.2


def test_a_special_token_written_out_in_a_text_is_plain_characters(
    model_dir, tokenizer_json, documents, config
):
    written = documents[:1].with_columns(text=pl.lit("<|endoftext|>"))
    assert score_documents(model_dir, tokenizer_json, written, config)["tokens"][0] > 1


def test_other_languages_and_empty_texts_are_left_out_and_each_language_is_bounded(documents, config):
    odd = documents[:2].with_columns(
        lang=pl.Series(["fr", "zh"]), text=pl.Series(["Bonjour", ""]), doc_id=pl.lit("x")
    )
    bounded = choose(pl.concat([documents, odd]), changed(config, max_documents=2))
    assert bounded["doc_id"].to_list() == sorted(bounded["doc_id"])
    assert bounded["lang"].value_counts().sort("lang").rows() == [("en", 2), ("zh", 2)]
    assert choose(pl.concat([documents, odd]), config).height == documents.height


def test_no_documents_give_no_rows(model_dir, tokenizer_json, documents, config):
    result = evaluate(model_dir, tokenizer_json, documents.clear(), config)
    assert result.height == 0
    assert "recall_top5" in result.columns


def test_a_forward_pass_never_holds_more_than_the_bound(config):
    tokens = [torch.arange(length).numpy() for length in (1, 5, 31, 32, 33, 100, 3, 64)]
    ordered = chunks(tokens, 0, config.context)
    predicted = sum(len(chunk.ids) - 1 for chunk in ordered)
    assert predicted == sum(len(ids) for ids in tokens)
    found = list(batches(ordered, config.batch_tokens))
    assert sum(len(batch) for batch in found) == len(ordered)
    for batch in found:
        assert len(batch) * max(len(chunk.ids) - 1 for chunk in batch) <= config.batch_tokens


def test_a_model_and_a_tokenizer_that_do_not_fit_are_refused(model_dir, tokenizer_json, documents, config):
    with pytest.raises(ConfigError, match="no token '<eos>'"):
        evaluate(model_dir, tokenizer_json, documents, changed(config, eod="<eos>"))
    with pytest.raises(ConfigError, match="has a context of 96 tokens, evaluation asks for 97"):
        evaluate(model_dir, tokenizer_json, documents, changed(config, context=97))


def test_a_tokenizer_larger_than_the_model_is_refused(model_dir, tokenizer_json, documents, config, tmp_path):
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    tokenizer.add_tokens([f"extra{number}" for number in range(40)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match=r"the tokenizer has 340 tokens, .* was built for 320"):
        evaluate(model_dir, tmp_path / "tokenizer.json", documents, config)


def test_summaries_of_scores_need_no_model(config):
    scores = pl.DataFrame(
        {"doc_id": ["a", "b"], "lang": "zh", "source": ["x", "y"], "tokens": [1, 3], "chars": [2, 4]}
        | {"bytes": [6, 12], "nats": [1.0, 3.0], "hits_top1": [1, 1], "hits_top5": [1, 2]}
    )
    result = summarise(scores, config)
    assert result["recall_top1"].to_list() == [0.5, 0.5, 1.0, pytest.approx(1 / 3)]
    assert result["loss"].to_list() == [1.0] * 4
