"""Settings of the readers: formats, limits and extraction choices.

Limits hold for every source; they exist because deliveries are untrusted input. `reader_limits()` reads
`config/reader_limits.yaml`.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from phoenix_assets.config import Config, config_dir, load

Keyword = Annotated[str, StringConstraints(pattern=r"^-?[a-z]+(?:-[a-z]+)*-?$", min_length=3)]


class Format(StrEnum):
    """The file formats that a reader exists for; a delivery's manifest names one of them."""

    WARC = "warc"
    ARC = "arc"
    HTML = "html"
    EPUB = "epub"
    PDF = "pdf"
    MEDIAWIKI = "mediawiki"
    CODE = "code"
    QA_JSONL = "qa_jsonl"
    ARTICLE_JSONL = "article_jsonl"
    K12_JSONL = "k12_jsonl"
    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"
    INSTRUCT_JSONL = "instruct_jsonl"
    TXT = "txt"
    PARALLEL_TSV = "parallel_tsv"
    TMX = "tmx"
    MOBI = "mobi"
    AZW3 = "azw3"
    FB2 = "fb2"
    DOCX = "docx"
    MIXED = "mixed"  # each file's own, by its content


class MainContent(Config):
    """What tells the main content of a page from what is around it (see `main_content.py`).

    Keywords of class names, ids and roles are letters; `-` is a word boundary.
    """

    text_cost: float = Field(ge=0)
    followed_share: float = Field(gt=0, le=1)
    direct_share: float = Field(gt=0, le=1)
    kept_share: float = Field(gt=0, le=1)
    kept_comments_share: float = Field(gt=0, le=1)
    flow_texts: int = Field(ge=1)
    link_share: float = Field(gt=0, le=1)
    dropped_share: float = Field(ge=0, le=1)
    cell_links: int = Field(ge=1)
    boilerplate: tuple[Keyword, ...]
    beside: tuple[Keyword, ...]
    comments: tuple[Keyword, ...]
    noise: tuple[Keyword, ...]


class HtmlLimits(Config):
    """How much markup a page may have, and how its main content is found."""

    max_nesting: int = Field(gt=0, lt=4096)
    max_tags: int = Field(gt=0)
    max_attributes: int = Field(gt=0)
    main: MainContent


class XmlLimits(Config):
    """How much markup one element of an XML document may have that is read as a whole."""

    max_depth: int = Field(gt=0)
    max_elements: int = Field(gt=0)


class BookLimits(Config):
    """How a book is cut into chapters."""

    min_chapter_chars: int = Field(ge=0)


class PdfLimits(Config):
    """When a PDF's page counts as scanned, which lines are running heads, and how lines make paragraphs.

    Lengths are in line heights.
    """

    min_chars_per_page: int = Field(ge=1)
    max_unmapped_share: float = Field(ge=0, le=1)
    max_pages: int = Field(gt=0)
    edge_lines: int = Field(ge=0)
    min_pages_for_edges: int = Field(ge=2)
    repeated_edge_share: float = Field(gt=0, le=1)
    column_gap: float = Field(gt=0)
    min_column_lines: int = Field(ge=1)
    min_column_fill: float = Field(gt=0, le=1)
    max_spanning_share: float = Field(ge=0, lt=1)
    cell_gap: float = Field(gt=0)
    indent: float = Field(gt=0)
    paragraph_gap: float = Field(gt=1)  # baseline to baseline, beside the page's usual distance
    size_change: float = Field(gt=1)
    width_change: float = Field(gt=1)
    max_seconds: int = Field(gt=0)  # of CPU time for one document
    max_memory_bytes: int = Field(ge=2**28)  # of the process that reads it


class WikiLimits(Config):
    """How much backtracking a page's markup may cause (`wikitext.parsing_cost`)."""

    max_parsing_cost: int = Field(gt=0)


class ParallelLimits(Config):
    """How many sentence pairs make one document, and in which order a pair's languages stand.

    Languages are listed by their codes without region; those not listed follow, in the file's own order.
    """

    pairs_per_document: int = Field(gt=0)
    languages: tuple[str, ...] = ()


class Role(StrEnum):
    """Who speaks in a conversation."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class InstructLayout(Config):
    """What stands before each turn of a conversation, by its language."""

    labels: dict[str, dict[Role, str]]
    default_language: str  # of conversations in no language that has labels
    chinese_above: float = Field(ge=0, le=1)  # share of Chinese characters among a conversation's letters
    language_characters: int = Field(gt=0)  # of each turn that are looked at

    @model_validator(mode="after")
    def _every_language_has_every_label(self) -> Self:
        for language in {*self.labels, self.default_language}:
            if missing := sorted(set(Role) - set(self.labels.get(language, {}))):
                raise ValueError(f"labels of language {language!r} lack {', '.join(missing)}")
        return self


class CodeRules(Config):
    """Which files of a repository are left out, and how far its files are looked into.

    Names of folders and files are in lower case; file names may be patterns (`*`, `?`).
    """

    vendored_folders: tuple[str, ...]
    generated_names: tuple[str, ...]
    minified_names: tuple[str, ...]
    generated_marks: tuple[str, ...]  # in lower case
    head_lines: int = Field(gt=0)  # that are searched for a mark
    head_characters: int = Field(gt=0)
    minified_languages: tuple[str, ...]
    minified_line: int = Field(gt=0)  # characters of a line, on average
    scanned_characters: int = Field(gt=0)  # of a file, for its imports
    max_references: int = Field(gt=0)  # of one file to others
    licence_likeness: float = Field(gt=0, le=1)
    memory_bytes: int = Field(gt=0)  # of a repository's texts; more go to a temporary file
    prose_languages: tuple[str, ...]  # whose files are text in a mixed delivery
    code_line_share: float = Field(gt=0, le=1)  # of a file's lines that look like code, in a mixed delivery


class ReaderLimits(Config):
    """The limits every reader obeys, and the settings of single formats.

    Sizes are bytes after decompression.
    """

    max_record_bytes: int = Field(gt=0)
    max_member_bytes: int = Field(gt=0)
    max_members: int = Field(gt=0)
    max_decompressed_ratio: float = Field(gt=1)
    ratio_floor_bytes: int = Field(ge=0)
    max_replaced_share: float = Field(ge=0, lt=1)
    payload_bytes: int = Field(ge=0)
    shard_bytes: int = Field(gt=0)  # of delivered files that one worker reads together
    output_characters: int = Field(gt=0)
    output_records: int = Field(gt=0)
    html: HtmlLimits
    xml: XmlLimits
    book: BookLimits
    pdf: PdfLimits
    wiki: WikiLimits
    parallel: ParallelLimits
    instruct: InstructLayout
    code: CodeRules
    code_languages: dict[str, str]


def reader_limits() -> ReaderLimits:
    """Return the limits of `config/reader_limits.yaml`. Raises ConfigError."""
    return load(ReaderLimits, config_dir() / "reader_limits.yaml")
