"""How a vendor's records name what we need: `fields:` of a source's YAML or of a delivery's manifest.

    fields: {text: body.main, title: headline, meta: [score, author.name]}
    fields: {layout: qa, question: ask, answer: replies.0.content}

Left is what a document or a layout needs (`TARGETS`), right the path to it in the record, its parts joined by dots; a
number counts from 0 in a list. What is not named goes by its own name. `meta` lists what to keep beside the text;
without it every plain value that the layout does not use is kept. Whoever delivers may say so himself, so the map is
untrusted input.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from phoenix_assets.config import Config

MAX_PATH_CHARS: Final = 200
MAX_META: Final = 200
_DOCUMENT: Final = frozenset({"text", "title", "url", "lang"})
_QUESTIONS_AND_ARTICLES: Final = frozenset(
    {"question", "answer", "content", "author", "pub_time", "comments"}
)
_EXERCISES: Final = frozenset(
    {
        "region", "period", "discipline", "subjectName", "gradeName", "volumeName", "complexValue",
        "typeValue", "question_type", "categoryValue", "bigType", "analysis", "explain", "knowledgeNames",
        "material", "modelEssay", "guide", "answers",
    }
)  # fmt: skip
_INSTRUCTIONS: Final = frozenset({"instruction", "input", "output", "system", "conversations", "messages"})
TARGETS: Final = _DOCUMENT | _QUESTIONS_AND_ARTICLES | _EXERCISES | _INSTRUCTIONS
COMMENT: Final = re.compile(r"comment[1-9][0-9]{0,3}")


class Layout(StrEnum):
    """How the fields of a record become one text (`phoenix_assets.ingest.templates`, `.instruct`)."""

    PLAIN = "plain"
    QA = "qa"
    ARTICLE = "article"
    K12 = "k12"
    INSTRUCT = "instruct"


def _path(path: str) -> str:
    if not all(path.split(".")) or not path.isprintable():
        raise ValueError("use names of fields joined by dots, such as body.main")
    return path


FieldPath = Annotated[str, Field(min_length=1, max_length=MAX_PATH_CHARS), AfterValidator(_path)]


class FieldMap(Config):
    """Which field of a record is what. Empty: fields are called as the layout calls them."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, FieldPath] = Field(init=False)

    layout: Layout = Layout.PLAIN
    meta: tuple[FieldPath, ...] | None = Field(default=None, max_length=MAX_META)

    @property
    def paths(self) -> dict[str, str]:
        """Return where each named target is, in name order."""
        return dict(sorted(self.__pydantic_extra__.items()))

    @model_validator(mode="after")
    def _targets_are_known(self) -> Self:
        for name in self.paths:
            if name not in TARGETS and not COMMENT.fullmatch(name):
                raise ValueError(
                    f"{name!r} is nothing a document needs; known are: {', '.join(sorted(TARGETS))}"
                )
        return self

    def named(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return the record with its fields under the names that layouts know; a path's first part goes."""
        paths = self.paths
        if not paths:
            return dict(record)
        renamed = {path if path in record else path.partition(".")[0] for path in paths.values()}
        rest = {name: value for name, value in record.items() if name not in renamed and name not in paths}
        return rest | {name: value_at(record, path) for name, path in paths.items()}


AS_NAMED: Final = FieldMap()  # fields are called as their layout calls them


def value_at(value: Any, path: str) -> Any:
    """Return what stands at `path` in nested mappings and lists, None if there is nothing."""
    if isinstance(value, Mapping) and path in value:
        return value[path]
    first, _, rest = path.partition(".")
    if isinstance(value, Mapping):
        inner = value.get(first)
    elif isinstance(value, list) and first.isdecimal() and int(first) < len(value):
        inner = value[int(first)]
    else:
        return None
    return value_at(inner, rest) if rest else inner
