import polars as pl
import pytest

from phoenix_assets.clean.config import load_normalize
from phoenix_assets.clean.stages import EMPTY_TEXT, FILTERED, filter_documents, normalize_documents
from phoenix_assets.errors import ConfigError
from phoenix_assets.schema import DOCUMENT, LEDGER


def documents(*texts, title=""):
    rows = [
        dict.fromkeys(DOCUMENT, "") | {"doc_id": f"{i:032x}", "text": text, "title": title}
        for i, text in enumerate(texts)
    ]
    return pl.DataFrame(rows, schema=DOCUMENT)


def test_the_ledger_says_what_was_removed_and_masked_in_each_document(lid_path, golden):
    frame = documents(golden, "请打13800138000或回信, 谢谢!", "\ufeff \n", title="电话13900139000")
    output = normalize_documents(frame, load_normalize("cc"), lid_path)
    ledger = output.ledger
    assert ledger.schema == LEDGER
    assert output.documents["text"].to_list() == [
        "\n".join(golden.split("\n")[:8]).replace(",", "，"),
        "请打<PHONE>或回信，谢谢！",
    ]
    assert output.documents["title"].to_list() == ["电话<PHONE>"] * 2
    assert ledger["drop_reason"].to_list() == ["success", "success", EMPTY_TEXT]
    values = [
        dict(zip(row["rules_name"], row["rules_value"], strict=True)) for row in ledger.iter_rows(named=True)
    ]
    assert values[0]["foreign_paragraphs"] == 2
    assert values[0]["foreign_characters"] == 148  # a space after a full-width mark went before
    assert (ledger["chars_in"][0], ledger["chars_out"][0]) == (395, 246)
    assert [row["masked_mobile_phone"] for row in values] == [1, 2, 1]
    assert output.counts["masked_mobile_phone"] == 4
    assert output.counts["foreign_paragraphs"] == 2
    assert output.counts["masked_email"] == 0


def test_what_a_source_switches_off_is_not_done_and_not_listed(golden):
    config = load_normalize("parallel").model_copy(update={"masking": None})
    output = normalize_documents(documents(golden + " a@b.cn"), config)
    assert output.documents["text"].to_list() == [golden + " a@b.cn"]
    assert output.ledger["rules_name"].to_list() == [[]]
    assert output.counts == {}


def test_no_documents_give_no_rows(lid_path):
    output = normalize_documents(documents(), load_normalize("cc"), lid_path)
    assert (output.documents.height, output.ledger.height) == (0, 0)


def test_foreign_paragraphs_need_a_model():
    with pytest.raises(ConfigError, match="language identification"):
        normalize_documents(documents("x"), load_normalize("cc"))


def test_every_document_has_its_safety_label(profiles, funnel_models):
    drugs = (
        "警方查获冰毒和海洛因，两名毒贩因贩毒被捕，法院认定制毒罪名成立，缉毒人员还在现场找到了大量的氯胺酮。"
    )
    frame = documents(
        drugs, "春天来了，公园里的桃花和樱花都开了，许多人带着孩子在湖边散步，还有老人在亭子里下棋聊天。"
    )
    rules = {
        rule: kept.model_copy(update={"enforced": False}) for rule, kept in profiles["default"].rules.items()
    }
    output = filter_documents(frame, profiles["default"].model_copy(update={"rules": rules}), funnel_models)
    assert output.documents.schema == FILTERED
    assert output.documents["safety"].to_list() == ["drugs", ""]
    assert output.counts == {"safety_drugs": 1}
