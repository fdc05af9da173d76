import hashlib

import pytest

from phoenix_assets.clean.config import KenlmConfig, load_normalize
from phoenix_assets.clean.kenlm_builder import PROGRAMS, build
from phoenix_assets.clean.kenlm_training import find_builder
from phoenix_assets.clean.profiles import NINE, SAFETY, Rule, load_profile, load_profiles
from phoenix_assets.config import config_dir, load
from phoenix_assets.errors import ConfigError

TABLE = {
    Rule.PERPLEXITY: (1, {"below": 1400}),
    Rule.LANG_ID: (2, {"above": 0.75}),
    Rule.FLAGGED_WORDS: (3, {"below": 0.2}),
    Rule.STOPWORDS: (4, {"at_least": 0}),
    Rule.SPECIAL_CHARACTERS: (5, {"below": 0.3}),
    Rule.CHARACTER_REPETITION: (6, {"at_most": 0.106}),
    Rule.WORD_REPETITION: (6, {"at_most": 0.19}),
    Rule.SHORT_LINE: (7, {"below": 0.5}),
    Rule.NUMBER_WORDS: (8, {"at_least": 1, "at_most": 100000}),
}


def write(folder, **files):
    default = (config_dir() / "filters" / "default.yaml").read_text("utf-8")
    (folder / "default.yaml").write_text(default, "utf-8")
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return folder


def test_the_default_profile_is_the_teams_table(profiles):
    rules = {rule: profiles["default"].rules[rule] for rule in NINE}
    assert {rule: (setting.priority, setting.given()) for rule, setting in rules.items()} == TABLE
    assert [rule for rule, setting in rules.items() if not setting.enforced] == [Rule.STOPWORDS]


def test_safety_labels_have_their_priority_after_the_nine_rules_and_drop_nothing(profiles):
    settings = [profiles["default"].rules[rule] for rule in SAFETY]
    assert [setting.priority for setting in settings] == list(range(11, 20))
    assert not any(setting.enforced for setting in settings)


def test_every_profile_is_complete_and_every_difference_has_a_reason(profiles):
    assert {"default", "book", "classical", "code", "dictionary", "math", "parallel", "poetry", "qa"} <= set(
        profiles
    )
    for profile in profiles.values():
        settings = [
            *profile.rules.items(),
            *(item for lang in profile.languages.values() for item in lang.items()),
        ]
        for rule, setting in settings:
            base = profiles["default"].rules.get(rule)
            assert setting == base or setting.reason


def test_an_override_replaces_the_bounds_it_gives(tmp_path):
    text = 'base: default\ndescription: x\nrules:\n  cond_check_lang_id: {at_least: 0.5, reason: "r"}\n'
    setting = load_profiles(write(tmp_path, mine=text))["mine"].rules[Rule.LANG_ID]
    assert (setting.given(), setting.priority, setting.enforced) == ({"at_least": 0.5}, 2, True)


def test_profiles_inherit_through_profiles_and_languages(tmp_path):
    middle = 'base: default\ndescription: m\nlanguages:\n  zh:\n    cond_check_lang_id: {above: 0.5, reason: "r"}\n'
    leaf = 'base: middle\ndescription: l\nrules:\n  cond_check_short_line: {below: 0.9, reason: "r"}\n'
    profile = load_profiles(write(tmp_path, middle=middle, leaf=leaf))["leaf"]
    assert profile.setting(Rule.LANG_ID, "zh").above == 0.5
    assert profile.setting(Rule.LANG_ID, "en").above == 0.75
    assert profile.setting(Rule.SHORT_LINE, "zh").below == 0.9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: default\ndescription: x\nrules:\n  cond_check_lang_id: {above: 0.5}\n", "reason"),
        (
            'base: default\ndescription: x\nrules:\n  cond_check_typo: {above: 0.5, reason: "r"}\n',
            "cond_check_typo",
        ),
        (
            'base: default\ndescription: x\nrules:\n  cond_check_base64: {at_most: 0.5, reason: "r"}\n',
            "priority",
        ),
        (
            'base: default\ndescription: x\nlanguages:\n  zh:\n    cond_check_base64: {priority: 1, at_most: 1, reason: "r"}\n',
            "for one language only",
        ),
        ("base: nowhere\ndescription: x\n", "nowhere"),
        ("base: default\ndescription: x\nparameters: {word_ngram: 0}\n", "word_ngram"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_place(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        load_profiles(write(tmp_path, wrong=text))


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(ConfigError, match="book, classical, code, default"):
        load_profile("nothing")


def test_a_source_overrides_the_default_normalisation():
    assert load_normalize("code").keep_layout
    assert not load_normalize("cc").keep_layout


def test_a_source_switches_a_block_off_or_changes_one_value_of_it():
    assert load_normalize("parallel").foreign_paragraphs is None
    assert load_normalize("parallel").masking == load_normalize("cc").masking
    assert load_normalize("code").masking == load_normalize("cc").masking.model_copy(update={"in_code": True})


def test_built_programs_are_left_as_they_are(tmp_path):
    builder = find_builder()
    for program, path in zip(PROGRAMS, (builder.lmplz, builder.build_binary), strict=True):
        (tmp_path / program).write_bytes(path.read_bytes())
    before = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.iterdir()}
    build(tmp_path, load(KenlmConfig, config_dir() / "kenlm.yaml"))
    assert {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.iterdir()} == before
