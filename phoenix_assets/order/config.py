"""Settings of a data order: the `order:` of an experiment."""

from collections import Counter
from typing import Self

from pydantic import Field, model_validator

from phoenix_assets.config import Config
from phoenix_assets.tokens.config import TOKENIZER, tokens_key


class Gathering(Config):
    """Documents of some components that belong together: those that agree in `by`."""

    components: tuple[str, ...] = Field(min_length=1)
    by: str = Field("file", pattern=r"^(file|delivery|meta\.\w+)$")  # a delivered file, or a field


class Groups(Gathering):
    """Documents that share one global batch, none before a step; the others are balanced around them."""

    from_step: int = Field(1, gt=0)


class Concentration(Config):
    """Small sets that fill a share of one global batch, and then none of the next ones: equal in total."""

    components: tuple[str, ...] = Field(min_length=1)
    share: float = Field(0.1, gt=0, le=1)  # of a global batch that holds the set
    below: float = Field(0.1, gt=0, le=1)  # of all sequences; a larger set is refused


class LongDocuments(Config):
    """Long documents that come more often, as far as the mixture's `max_epochs` allow."""

    at_least: int = Field(gt=0)  # tokens
    times: int = Field(ge=2)  # in place of one


class Similar(Config):
    """Documents like each other stand next to each other, and so in one context."""

    read_tokens: int = Field(2048, gt=0)  # of a document, from its start
    frequency: float = Field(0.03, gt=0)  # tokens more frequent than this count less
    compared: int = Field(64, ge=2)  # documents among which each one's nearest is looked for


class OrderConfig(Config):
    """The `order:` of an experiment. Nothing but the shuffle is on unless it is asked for."""

    passes: int = Field(default=1, gt=0)  # over the corpus; each document within its max_epochs
    shuffle: bool = True  # the sequences of each pass
    whole: Gathering | None = None  # books, repositories: in consecutive sequences
    concentrate: Concentration | None = None
    groups: Groups | None = None
    long_documents: LongDocuments | None = None
    similar: Similar | None = None

    @property
    def components(self) -> tuple[str, ...]:
        """Every component that an option names."""
        asked = (self.whole, self.concentrate, self.groups)
        return tuple(name for option in asked if option is not None for name in option.components)

    @model_validator(mode="after")
    def _one_place_for_a_component(self) -> Self:
        named = Counter(self.components)
        if twice := [name for name, count in named.items() if count > 1]:
            raise ValueError(
                f"component {twice[0]!r} is named twice in whole, concentrate and groups, and each of them decides "
                "its place; keep it in one of them"
            )
        return self

    @model_validator(mode="after")
    def _groups_need_a_shuffle(self) -> Self:
        if self.groups is not None and not self.shuffle:
            raise ValueError(
                "groups balance the other documents around them, and shuffle: false keeps these as they are; "
                "remove one of the two"
            )
        return self


class DataOrder(Config):
    """All that decides a data-order plan, beside the tokens of its mixture."""

    mixture: str
    tokenizer: str = TOKENIZER
    sequence_length: int = Field(gt=0)  # tokens
    global_batch: int = Field(gt=0)  # sequences
    seed: int = Field(ge=0)
    options: OrderConfig

    @property
    def tokens(self) -> str:
        """Asset path of the tokens."""
        return tokens_key(self.mixture, self.tokenizer)
