"""What is compared below the document, by group of sources: paragraphs, and sentences where a document begins and ends."""

import re
from enum import StrEnum

from pydantic import Field, field_validator

from phoenix_assets.config import Config


class Passage(StrEnum):
    """The parts of documents that are compared, in the order in which they are removed; each has an asset of its name."""

    PARAGRAPH = "paragraphs"
    SENTENCE = "sentences"

    @property
    def reason(self) -> str:
        """Why a document goes of which too much was seen before."""
        return f"{self.value[:-1]}_duplicate"

    @property
    def before(self) -> "tuple[Passage, ...]":
        """What is decided before it."""
        order = tuple(Passage)
        return order[: order.index(self)]


class Unit(StrEnum):
    """What a paragraph is."""

    LINE = "line"
    BLOCK = "block"  # lines up to a blank one: code, verse


class LengthConfig(Config):
    """From what length on a passage is compared, in letters and digits: what is shorter says too little.

    A passage of several scripts is long enough when its shares of both add up to one.
    """

    words: int = Field(ge=1)  # letters of scripts with spaces
    characters: int = Field(ge=1)  # characters of scripts without


class ParagraphConfig(Config):
    """Which paragraphs are duplicates, and what becomes of their documents."""

    unit: Unit = Unit.LINE
    at_least: LengthConfig
    max_share: float = Field(
        ge=0.0, le=1.0
    )  # of its letters in duplicated paragraphs: beyond it a document goes
    remove: bool = True  # duplicated paragraphs from the documents that stay
    zero_digits: bool  # numbers are no difference: dates, counters


class SentenceConfig(Config):
    """Which sentences are compared: the first and the last ones of what the paragraphs have left."""

    head: int = Field(ge=0)
    tail: int = Field(ge=0)
    at_least: LengthConfig
    zero_digits: bool


class PassageConfig(Config):
    """The passages of one dedup group."""

    boilerplate: int = Field(ge=0)  # paragraphs at each end that are looked at for boilerplate
    paragraphs: ParagraphConfig
    sentences: SentenceConfig


class BoilerplateConfig(Config):
    """Lines that belong to a site, not to what it says: regular expressions, by what they are."""

    max_characters: int = Field(ge=1)  # a longer paragraph says more than that
    patterns: dict[str, list[str]]

    @field_validator("patterns")
    @classmethod
    def _are_regular_expressions(cls, patterns: dict[str, list[str]]) -> dict[str, list[str]]:
        for kind, expressions in patterns.items():
            for expression in expressions:
                try:
                    re.compile(expression)
                except re.error as error:
                    raise ValueError(f"{kind}: {expression!r} is no regular expression: {error}") from error
        return patterns


class PassagesConfig(Config):
    """The passages of every dedup group, and what is the same for all of them."""

    block_documents: int = Field(ge=1)  # read at a time
    block_passages: int = Field(ge=1)  # decided at a time
    segment_passages: int = Field(ge=1, lt=2**31)  # segments grow no larger by merging
    boilerplate: BoilerplateConfig
    exempt: tuple[str, ...]  # sources whose documents stay as they are, and keep nothing from others
    groups: dict[str, PassageConfig]  # by dedup group


class PassageRules(Config):
    """What becomes of the passages of one source."""

    group: PassageConfig
    boilerplate: BoilerplateConfig
    by_language: bool  # passages of different languages are never the same
    exempt: bool  # documents stay as they are, and keep nothing from others

    def removes(self, passage: Passage) -> bool:
        """Return whether duplicates are removed from documents that stay."""
        return passage is Passage.SENTENCE or self.group.paragraphs.remove

    def max_share(self, passage: Passage) -> float:
        """Return beyond which share of its letters in duplicates a document goes."""
        return self.group.paragraphs.max_share if passage is Passage.PARAGRAPH else 1.0

    def settings(self, passage: Passage) -> dict[str, object]:
        """Return what it depends on which passages are compared, as JSON values."""
        later = {"sentences"} if passage is Passage.PARAGRAPH else set()
        group = self.group.model_dump(
            mode="json", exclude={"paragraphs": {"max_share"}} | dict.fromkeys(later, True)
        )
        patterns = self.boilerplate.model_dump(mode="json") if self.group.boilerplate else {}
        return {"group": group, "patterns": patterns, "by_language": self.by_language, "exempt": self.exempt}
