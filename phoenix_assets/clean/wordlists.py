"""Word lists: stop words (stopwords-iso, and for Chinese the goto456 lists) and flagged words (LDNOOBW).

The lists come inside Python packages, whose data files are read directly: importing one of them configures logging.
A profile can add words or take some away. `lexicon` builds the hash tables the kernels read, once per process.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Final

from phoenix_assets.clean.lexicon import build_lexicon
from phoenix_assets.clean.package_data import package_folder
from phoenix_assets.clean.profiles import FunnelParameters
from phoenix_assets.clean.segmentation import SEGMENTED_LANGUAGES
from phoenix_assets.clean.words import Lexicon

KERNEL_VERSION: Final = "1"

FLAGGED_LANGUAGES: Final = (
    "ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pt", "ru", "sv", "th", "zh",
)  # fmt: skip


@lru_cache(maxsize=1)
def stopwords() -> dict[str, frozenset[str]]:
    """Return the stop words of each language, by ISO 639-1 code. Raises ConfigError if a package is missing."""
    text = (package_folder("stopwordsiso") / "stopwords-iso.json").read_text("utf-8")
    lists = {lang: frozenset(words) for lang, words in json.loads(text).items()}
    chinese = {
        line.strip()
        for path in sorted((package_folder("naive_stopwords") / "data").glob("*_stopwords.txt"))
        for line in path.read_text("utf-8").splitlines()
    }
    lists["zh"] = lists["zh"] | (chinese - {""})
    return lists


@lru_cache(maxsize=1)
def flagged_words() -> dict[str, frozenset[str]]:
    """Return LDNOOBW's words of each language. Raises ConfigError if the package is missing."""
    folder = package_folder("expletives") / "data" / "sources"
    return {lang: _lines(folder / f"ldnoobw-{lang}.txt") for lang in FLAGGED_LANGUAGES}


@lru_cache(maxsize=16)
def _lexicon(parameters_json: str) -> Lexicon:
    parameters = FunnelParameters.model_validate_json(parameters_json)
    stop = {lang: set(words) for lang, words in stopwords().items()}
    flagged = {lang: set(words) for lang, words in flagged_words().items()}
    for lang, words in parameters.stopwords_extra.items():
        stop.setdefault(lang, set()).update(words)
    for lang, words in parameters.flagged_extra.items():
        flagged.setdefault(lang, set()).update(words)
    for lang, words in parameters.flagged_excluded.items():
        flagged.setdefault(lang, set()).difference_update(words)
    for lang in SEGMENTED_LANGUAGES:
        stop[lang] = stop["zh"] | stop.get(lang, set())
        flagged[lang] = flagged["zh"] | flagged.get(lang, set())
    return build_lexicon(stop, flagged)


def lexicon(parameters: FunnelParameters) -> Lexicon:
    """Return the tables of the packages' lists with a profile's additions and exclusions."""
    return _lexicon(parameters.model_dump_json())


def _lines(path: Path) -> frozenset[str]:
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return frozenset(line for line in lines if line and not line.startswith("#"))
