"""Configuration of the clean room's normalisation and models; `profiles` has that of the filter funnel."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from phoenix_assets.config import Config, config_dir, load
from phoenix_assets.pretrained import PretrainedModel


class ForeignParagraphs(Config):
    """Which paragraphs are removed because they are in another language than their document."""

    allowed: tuple[str, ...] = Field(description="languages that stay beside the document's own")
    same: Mapping[str, str] = Field(description="codes of language identification that count as another code")
    script_share: float = Field(gt=0, le=1, description="of kana or of hangul among letters: certain")
    script_letters: int = Field(gt=0, description="kana or hangul letters below which a paragraph stays")
    letters: int = Field(gt=0, description="letters from which fastText judges a paragraph")
    document_letters: int = Field(
        gt=0, description="letters of a document in one language, by fastText, that count"
    )
    read_characters: int = Field(gt=0, description="of a paragraph, by fastText")
    above: float = Field(ge=0, le=1, description="fastText's probability above which a paragraph goes")
    special_share: float = Field(gt=0, le=1, description="of marks, digits and symbols: above it is no prose")


class PersonalData(StrEnum):
    """Kinds of personal data that are masked, the most certain first: the first that matches names the mask."""

    EMAIL = "email"
    ID_NUMBER = "id_number"
    ID_NUMBER_15 = "id_number_15"
    MOBILE_PHONE = "mobile_phone"
    BANK_CARD = "bank_card"
    LANDLINE_PHONE = "landline_phone"
    FOREIGN_PHONE = "foreign_phone"
    IP_ADDRESS = "ip_address"
    LICENCE_PLATE = "licence_plate"


class Masking(Config):
    """What is masked, and by what."""

    kinds: tuple[PersonalData, ...] = Field(min_length=1)
    masks: Mapping[PersonalData, str]
    in_code: bool = Field(description="mask inside fenced, inline and indented code too")
    public_only: bool = Field(
        description="leave private and documentation IP ranges and example mail domains (RFC 2606) as they are"
    )
    not_mail_domains: tuple[str, ...] = Field(
        description="endings after @ that are file suffixes, no domains"
    )
    version_parts_below: int = Field(
        ge=0, description="four numbers all below it are a version, no IPv4 address"
    )

    @model_validator(mode="after")
    def _masks_stay_as_they_are(self) -> Self:
        for kind in self.kinds:
            mask = self.masks.get(kind, "")
            if not mask or any(character.isdigit() or character in "@\n" for character in mask):
                raise ValueError(
                    f"masks.{kind.value} = {mask!r}: give a text without digits, @ and line ends"
                )
        return self


class NormalizeConfig(Config):
    """Which steps of normalisation a source takes, in the order they run."""

    unify_line_ends: bool = True
    remove_invisible: bool = True
    remove_unprintable: bool = True
    traditional_to_simplified: bool = False
    halfwidth_alphanumerics: bool = True
    remove_abnormal_words: bool = True
    collapse_spaces: bool = True
    unify_punctuation: bool = True
    keep_layout: bool = Field(False, description="keep indentation and inner runs of spaces, as code needs")
    max_word_length: int = Field(gt=0, description="longest run of printable ASCII kept, in characters")
    foreign_paragraphs: ForeignParagraphs | None = Field(
        None, description="null: paragraphs of all languages stay"
    )
    masking: Masking | None = Field(None, description="null: nothing is masked")


class NormalizeFile(Config):
    """`config/normalize.yaml`: the default steps, and what differs for a source."""

    default: NormalizeConfig
    sources: Mapping[str, Mapping[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _overrides_are_valid(self) -> Self:
        for source in self.sources:
            self.of(source)
        return self

    def of(self, source: str) -> NormalizeConfig:
        """Return the configuration of `source`: the default with the source's own values over it."""
        return NormalizeConfig.model_validate(_over(self.default.model_dump(), self.sources.get(source, {})))


def _over(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with `changes` over them, block by block; a block that is null goes."""
    merged = dict(values)
    for name, change in changes.items():
        known = merged.get(name)
        merged[name] = (
            _over(known, change) if isinstance(known, dict) and isinstance(change, dict) else change
        )
    return merged


class KenlmConfig(Config):
    """`config/kenlm.yaml`: how the perplexity models are trained."""

    order: int = Field(ge=2, le=6)
    memory: str = Field(pattern=r"^[0-9]+[%KMG]$", description="bound of lmplz's sorting memory (-S)")
    prune: tuple[int, ...] = Field(
        (), description="minimum counts per order (lmplz --prune); empty: keep all"
    )
    structure: str = Field(pattern="^(trie|probing)$", description="probing is faster, trie smaller")
    languages: tuple[str, ...] = Field(min_length=1)
    reference_sources: Mapping[str, tuple[str, ...]] = Field(
        description="whose normalised text, per language"
    )
    reference_characters: Mapping[str, int] = Field(description="reference text per language, in characters")
    timeout_seconds: int = Field(gt=0)
    distribution: str = Field(
        description="pip requirement whose sources lmplz and build_binary are built from"
    )
    distribution_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    pretrained: Mapping[str, PretrainedModel] = Field(
        default_factory=dict, description="per language, a model that is taken instead of training one"
    )

    @model_validator(mode="after")
    def _every_language_has_a_limit(self) -> Self:
        for name in ("reference_sources", "reference_characters"):
            if missing := [lang for lang in self.languages if lang not in getattr(self, name)]:
                raise ValueError(f"{name} lacks the language(s) {', '.join(missing)}")
        return self


class LidConfig(Config):
    """`config/lid.yaml`: which language identification model is used, and how it is recognised."""

    distribution: str = Field(description="pip requirement whose wheel carries the model")
    member: str = Field(description="the model's path inside the wheel")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    licence: str
    pretrained: PretrainedModel | None = Field(
        None, description="a model that is taken instead of the wheel's"
    )


def load_normalize(source: str, path: Path | None = None) -> NormalizeConfig:
    """Return the normalisation of `source` from `config/normalize.yaml`. Raises ConfigError."""
    return load(NormalizeFile, path or config_dir() / "normalize.yaml").of(source)
