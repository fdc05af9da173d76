import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_assets.clean.config import Masking, PersonalData, load_normalize
from phoenix_assets.clean.personal_candidates import KINDS
from phoenix_assets.clean.personal_data import mask_personal_data

CONFIG = load_normalize("cc").masking
NAMES = {kind: CONFIG.masks[kind] for kind in CONFIG.kinds}
P = PersonalData

# Numbers are published examples (GB 11643's own, card schemes' test numbers, RFC 3849, reserved ranges) or made for
# this test; which check digit is right follows from the standards' formulas.
FOUND = {
    P.ID_NUMBER: [
        "11010519491231002X",
        "11010519491231002x",
        "440524198001010013",
        "110105 19491231 002X",
    ],
    P.MOBILE_PHONE: [
        "13800138000",
        "138-0013-8000",
        "138 0013 8000",
        "+8613800138000",
        "+86 138 0013 8000",
        "8613800138000",
        "86-13800138000",
        "19912345678",
    ],
    P.LANDLINE_PHONE: [
        "010-62345678",
        "010 62345678",
        "0755-26712345",
        "0755-26712345-801",
        "(010)62345678",
        "（021）62345678转12",
        "0431-8512345",
        "+86-755-26712345",
        "+86 10 6234 5678",
    ],
    P.FOREIGN_PHONE: [
        "+1 (415) 555-2671",
        "+14155552671",
        "415-555-2671",
        "415.555.2671",
        "(415) 555-2671",
        "1-800-998-9938",
        "+44 20 7946 0958",
        "+49 89 3207395",
    ],
    P.EMAIL: ["a.b+c@mail.qq.com", "user_1@sub.domain.co.uk", "13800138000@qq.com", "X@Y.CN"],
    P.BANK_CARD: [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "378282246310005",
        "3782 822463 10005",
        "6222021234567890128",
    ],
    P.IP_ADDRESS: ["58.32.100.7", "223.104.3.200", "2400:3200:baba::1", "2400:3200:0:0:0:0:0:1"],
    P.LICENCE_PLATE: ["京A12345", "粤B·12345", "沪AD12345", "皖A8X0F6", "川A1234警", "京AF12345"],
}
LEFT = {
    "identity number, wrong check digit": "110105194912310021",
    "identity number, impossible date": "110105194913310026",
    "identity number, unknown region": "990105194912310029",
    "identity number, born too early": "440524188001010014",
    "identity number inside a longer number": "111010519491231002X1",
    "mobile number, prefix of no operator": "12800138000",
    "mobile number inside a longer number": "2013800138000",
    "amount": "15000000000",
    "order number": "20231234567",
    "timestamp in milliseconds": "1583800138000",
    "timestamp": "20240115123045",
    "date and time": "2024-01-15 12:30:45",
    "landline, no such number": "010-12345678",
    "postal code and number": "100084 12345",
    "North American number, area begins with 1": "123-456-7890",
    "unassigned country": "+2147483647",
    "card, wrong check digit": "4111111111111112",
    "right check digit, no issuer": "9111111111111116",
    "ISBN-13": "9787111407010",
    "ISBN-13 in groups": "978-7-111-40701-0",
    "ISBN-10": "0-306-40615-2",
    "ISSN": "0317-8471",
    "version": "v1.2.3.200",
    "four low numbers": "2.6.32.5",
    "five numbers": "58.32.100.7.1",
    "private address": "192.168.1.1",
    "documentation address": "203.0.113.9",
    "documentation IPv6": "2001:0db8::1",
    "link-local IPv6": "fe80::1:2",
    "time": "12:30:45",
    "C++ name": "std::vector",
    "MAC address": "02:07:01:00:01:c4",
    "example mail": "me@example.com",
    "picture for two pixels": "icon@2x.png",
    "systemd unit": "getty@tty1.service",
    "repository": "git@github.com:foo/bar",
    "mention": "@someone",
    "npm package": "vue@3.2.1",
    "business licence": "京B2-20090059",
    "internet licence": "京ICP备12345678号",
    "plate with too many digits": "新A1234567",
    "pi": "3.1415926535897932384",
    "amount with commas": "1,380,013,800,000",
    "percentage": "13800138000%",
    "formula": "$13800138000$",
    "inline code": "`13800138000`",
    "address of a page": "https://a.cn/13800138000?t=1583800138000",
    "mathematics": "x+1234567890123",
}


def masked(text, config=CONFIG):
    return mask_personal_data(pl.Series([text]), config).texts[0]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts])
def test_personal_data_is_masked_in_both_languages(kind, text):
    for before, after in (
        ("联系", "。"),
        ("联系：", "，谢谢"),
        ("Contact: ", "."),
        ("(see ", ")"),
        ("", "\n"),
    ):
        result = mask_personal_data(pl.Series([before + text + after]), CONFIG)
        assert result.texts[0] == before + CONFIG.masks[kind] + after
        assert dict(zip(KINDS, result.counts[0].tolist(), strict=True))[kind] == 1


@pytest.mark.parametrize(("name", "text"), LEFT.items())
def test_near_misses_stay(name, text):
    for before, after in (("号码", "。"), ("No. ", "\n"), ("", "")):
        assert masked(before + text + after) == before + text + after, name


def test_several_in_a_line_are_counted_by_kind():
    text = "电话13800138000,13900139000/010-62345678；身份证11010519491231002X，a@b.cn"
    result = mask_personal_data(pl.Series([text, None, "nothing"]), CONFIG)
    assert result.texts.to_list() == [
        "电话<PHONE>,<PHONE>/<PHONE>；身份证<ID_NUMBER>，<EMAIL>",
        None,
        "nothing",
    ]
    counts = dict(zip(KINDS, result.counts[0].tolist(), strict=True))
    assert {kind: count for kind, count in counts.items() if count} == {
        P.EMAIL: 1,
        P.ID_NUMBER: 1,
        P.MOBILE_PHONE: 2,
        P.LANDLINE_PHONE: 1,
    }
    assert result.counts[1:].sum() == 0


@pytest.mark.parametrize("kind", FOUND)
def test_each_kind_is_switched_alone(kind):
    only = CONFIG.model_copy(update={"kinds": (kind,)})
    rest = CONFIG.model_copy(update={"kinds": tuple(k for k in CONFIG.kinds if k != kind)})
    text = FOUND[kind][0]
    assert masked(text, only) == CONFIG.masks[kind]
    assert CONFIG.masks[kind] not in masked(text, rest) or NAMES[kind] in {
        NAMES[k] for k in rest.kinds if masked(text, rest) == NAMES[k]
    }
    others = " ".join(texts[-1] for k, texts in FOUND.items() if k != kind)
    assert masked(others, only) == others


def test_old_identity_numbers_are_masked_where_asked():
    assert masked("110105491231002") == "110105491231002"
    config = CONFIG.model_copy(update={"kinds": (P.ID_NUMBER_15,)})
    assert masked("证号110105491231002。", config) == "证号<ID_NUMBER>。"
    assert masked("证号110105491331002。", config) == "证号110105491331002。"


def test_code_is_masked_where_asked():
    text = "```\nmail('a@b.cn')\n```\n    a@b.cn"
    assert masked(text) == text
    inside = CONFIG.model_copy(update={"in_code": True})
    assert masked(text, inside) == "```\nmail('<EMAIL>')\n```\n    <EMAIL>"


def test_private_and_example_data_is_masked_where_asked():
    config = CONFIG.model_copy(update={"public_only": False})
    assert masked("172.16.254.1 me@example.com 2001:db8::1", config) == "<IP_ADDRESS> <EMAIL> <IP_ADDRESS>"


def test_a_mask_that_could_be_masked_is_refused():
    values = CONFIG.model_dump()
    with pytest.raises(ValueError, match="without digits"):
        Masking.model_validate(values | {"masks": values["masks"] | {P.EMAIL: "x@y.cn"}})


numbers = st.text("0123456789 -.+()@ab:京A电X/\n", max_size=60)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.one_of(numbers, st.sampled_from([t for texts in FOUND.values() for t in texts])), max_size=8)
)
def test_masking_twice_changes_nothing(parts):
    once = masked(" ".join(parts))
    assert masked(once) == once
