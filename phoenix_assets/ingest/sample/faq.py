"""Recipe `faq`: question and answer pairs from FAQ pages.

A heading (or, for the text before the first heading, the page's title) that ends with a question mark is
the question; the paragraphs up to the next heading are its answer. Navigation and tables of contents are
left out.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from phoenix_assets.ingest.sample.config import Faq
from phoenix_assets.ingest.sample.warc_pages import Members

_HEADINGS = frozenset({"h1", "h2", "h3", "h4"})
_BLOCKS = frozenset({"p", "li", "blockquote", "dd", "dt", "pre", "td", "div", "br", "hr", "tr"})
_LEFT_OUT = frozenset({"script", "style"})
_NAVIGATION = ("toc", "navheader", "navfooter", "book-navigation")
_VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "col", "base", "area", "wbr"})


@dataclass
class Section:
    """A heading and the paragraphs under it."""

    heading: str
    paragraphs: list[str] = field(default_factory=list)


class _Sections(HTMLParser):
    """Splits a page at its headings. The first section's heading is the page's title."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.sections = [Section("")]
        self._text: list[str] = []
        self._heading: str | None = None  # the open heading tag, or "title"
        self._left_out: list[str] = []  # open tags inside something that is left out

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._left_out or tag in _LEFT_OUT or self._is_navigation(attrs):
            if tag not in _VOID:
                self._left_out.append(tag)
        elif tag in _HEADINGS or tag == "title":
            self._end_paragraph()
            self._heading = tag
        elif tag in _BLOCKS and self._heading is None:
            self._end_paragraph()

    def handle_endtag(self, tag: str) -> None:
        if self._left_out:
            if tag in self._left_out:
                while self._left_out.pop() != tag:
                    pass
        elif tag == self._heading:
            self._begin_section(title=tag == "title")
        elif tag in _BLOCKS and self._heading is None:
            self._end_paragraph()

    def handle_data(self, data: str) -> None:
        if not self._left_out:
            self._text.append(data)

    def close(self) -> None:
        super().close()
        self._end_paragraph()

    @staticmethod
    def _is_navigation(attrs: list[tuple[str, str | None]]) -> bool:
        return any(name == "class" and (value or "").startswith(_NAVIGATION) for name, value in attrs)

    def _take_text(self) -> str:
        text = " ".join("".join(self._text).split())
        self._text.clear()
        return text

    def _end_paragraph(self) -> None:
        if text := self._take_text():
            self.sections[-1].paragraphs.append(text)

    def _begin_section(self, *, title: bool) -> None:
        heading = self._take_text()
        self._heading = None
        if title:
            self.sections[-1].heading = heading.split(" | ")[0]
        elif heading != self.sections[-1].heading or self.sections[-1].paragraphs:
            self.sections.append(Section(heading))


def sections(page: str) -> list[Section]:
    """Return the sections of an HTML page in reading order."""
    parser = _Sections()
    parser.feed(page)
    parser.close()
    return parser.sections


def question_answers(page: str, min_answer_characters: int) -> Iterator[tuple[str, str]]:
    """Yield (question, answer) for the sections whose heading asks; paragraphs are joined by empty lines."""
    for section in sections(page):
        answer = "\n\n".join(section.paragraphs)
        if section.heading.rstrip().endswith(("?", "？")) and len(answer) >= min_answer_characters:
            yield section.heading, answer


def faq(spec: Faq, members: Members, limit: int | None) -> dict[str, bytes]:
    """Return one JSONL file an archive, `{"question", "answer"}` a line, at most `limit` lines each."""
    files = {}
    for archive in spec.archives:
        pairs = [
            pair
            for _, body in sorted(members[archive].items())
            for pair in question_answers(body.decode("utf-8"), spec.min_answer_characters)
        ]
        lines = [
            json.dumps({"question": question, "answer": answer}, ensure_ascii=False)
            for question, answer in list(dict.fromkeys(pairs))[:limit]
        ]
        files[f"{archive}.jsonl"] = ("\n".join(lines) + "\n").encode()
    return files
