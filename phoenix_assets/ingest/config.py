"""Settings of the readers: formats, limits and extraction choices.

Limits hold for every source; they exist because deliveries are untrusted input. `reader_limits()` reads
`config/reader_limits.yaml`.
"""

from enum import StrEnum

from pydantic import Field

from phoenix_assets.config import Config, config_dir, load


class Format(StrEnum):
    """The file formats that a reader exists for; a delivery's manifest names one of them."""

    WARC = "warc"
    HTML = "html"
    EPUB = "epub"
    PDF = "pdf"
    MEDIAWIKI = "mediawiki"
    CODE = "code"
    QA_JSONL = "qa_jsonl"
    ARTICLE_JSONL = "article_jsonl"
    K12_JSONL = "k12_jsonl"
    JSONL = "jsonl"
    TXT = "txt"
    PARALLEL_TSV = "parallel_tsv"


class HtmlLimits(Config):
    """How much markup a page may have, and what its extraction keeps."""

    max_nesting: int = Field(gt=0, lt=4096)
    max_tags: int = Field(gt=0)
    max_nodes: int = Field(gt=0)
    max_attributes: int = Field(gt=0)
    alt_texts: bool
    list_bullets: bool
    comments: bool


class EpubLimits(Config):
    """How a book is cut into chapters."""

    min_chapter_chars: int = Field(ge=0)
    max_xml_depth: int = Field(gt=0)


class PdfLimits(Config):
    """When a PDF counts as scanned, and which lines are running heads."""

    min_chars_per_page: int = Field(ge=1)
    edge_lines: int = Field(ge=0)
    min_pages_for_edges: int = Field(ge=2)
    repeated_edge_share: float = Field(gt=0, le=1)


class WikiLimits(Config):
    """How much backtracking a page's markup may cause (`wikitext.parsing_cost`)."""

    max_parsing_cost: int = Field(gt=0)


class ParallelLimits(Config):
    """How many sentence pairs make one document."""

    pairs_per_document: int = Field(gt=0)


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
    html: HtmlLimits
    epub: EpubLimits
    pdf: PdfLimits
    wiki: WikiLimits
    parallel: ParallelLimits
    code_languages: dict[str, str]


def reader_limits() -> ReaderLimits:
    """Return the limits of `config/reader_limits.yaml`. Raises ConfigError."""
    return load(ReaderLimits, config_dir() / "reader_limits.yaml")
