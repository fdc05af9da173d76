"""XML from strangers, by expat: no entity declarations, no external entities, bounded depth and size."""

import codecs
import io
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from phoenix_assets.ingest.config import XmlLimits
from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "2"

NAMESPACE_SEPARATOR: Final = "}"
_BLOCK_BYTES: Final = 2**16
_DECLARED: Final = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_NATIVE: Final = frozenset({"utf-8", "utf-16", "utf-16-le", "utf-16-be", "ascii", "iso8859-1"})  # to expat


def parser(encoding: str | None = None) -> expat.XMLParserType:
    """Return an expat parser that raises RecordRejected (bomb) at the first entity declaration.

    A document type without entities passes; its external part is never fetched. `encoding` overrules the document.
    """
    created = expat.ParserCreate(encoding, NAMESPACE_SEPARATOR)
    created.buffer_text = True
    created.EntityDeclHandler = _refuse_entity
    return created


def local_name(name: str) -> str:
    """Return an element or attribute name without its namespace."""
    return name.rpartition(NAMESPACE_SEPARATOR)[2]


def parse_tree(content: bytes, limits: XmlLimits) -> Element:
    """Return the root of a small document; names are local, without namespaces.

    Raises RecordRejected like `subtrees`.
    """
    (root,) = subtrees(io.BytesIO(content), lambda path: len(path) == 1, limits)
    return root


def subtrees(stream: BinaryIO, wanted: Callable[[list[str]], bool], limits: XmlLimits) -> Iterator[Element]:
    """Yield every element whose path of local names is wanted, as soon as it is complete; the rest is passed over.

    No more than one such element is in memory. Raises RecordRejected where the document cannot be read on, after
    the elements before: bomb (entities, depth, elements), truncated, corrupt (not well-formed), invalid_encoding.
    """
    head = stream.read(_BLOCK_BYTES)
    encoding = _declared(head)
    xml, found = parser("utf-8" if encoding else None), _Subtrees(wanted, limits)
    xml.StartElementHandler, xml.EndElementHandler = found.start, found.end
    xml.CharacterDataHandler = found.data
    recode = codecs.getincrementaldecoder(encoding)() if encoding else None
    block, problem = head, None
    while problem is None:
        final = not block
        try:
            xml.Parse(recode.decode(block, final).encode() if recode else block, final)
        except expat.ExpatError as error:
            reason = RejectReason.TRUNCATED if final else RejectReason.CORRUPT
            problem = RecordRejected(reason, f"XML is not well-formed: {error}")
        except UnicodeDecodeError as error:
            detail = (
                f"the document says it is in {encoding}, but is not: {error.reason} at byte {error.start}"
            )
            problem = RecordRejected(RejectReason.INVALID_ENCODING, detail)
        except RecordRejected as error:
            problem = error
        complete, found.complete = found.complete, []
        yield from complete
        if final:
            break
        block = stream.read(_BLOCK_BYTES)
    if problem is not None:
        raise problem


class _Subtrees:
    """Builds the wanted elements; handlers for expat."""

    def __init__(self, wanted: Callable[[list[str]], bool], limits: XmlLimits) -> None:
        self._wanted = wanted
        self._limits = limits
        self._path: list[str] = []
        self._builder: TreeBuilder | None = None
        self._top = 0  # depth of the element being built
        self._elements = 0
        self.complete: list[Element] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Open an element."""
        self._path.append(local_name(name))
        if len(self._path) > self._limits.max_depth:
            detail = f"XML nested deeper than {self._limits.max_depth} levels"
            raise RecordRejected(RejectReason.BOMB, detail)
        if self._builder is None and self._wanted(self._path):
            self._builder, self._top, self._elements = TreeBuilder(), len(self._path), 0
        if self._builder is not None:
            self._elements += 1
            if self._elements > self._limits.max_elements:
                detail = (
                    f"more than {self._limits.max_elements} XML elements in one {self._path[self._top - 1]}"
                )
                raise RecordRejected(RejectReason.BOMB, detail)
            self._builder.start(self._path[-1], {local_name(key): value for key, value in attributes.items()})

    def data(self, characters: str) -> None:
        """Add text."""
        if self._builder is not None:
            self._builder.data(characters)

    def end(self, _: str) -> None:
        """Close an element."""
        if self._builder is not None:
            self._builder.end(self._path[-1])
            if len(self._path) == self._top:
                self.complete.append(self._builder.close())
                self._builder = None
        self._path.pop()


def _declared(head: bytes) -> str | None:
    """Return the encoding that a document declares, if expat needs help with it."""
    found = _DECLARED.match(head)
    if not found:
        return None
    try:
        name = codecs.lookup(found[1].decode("ascii")).name
    except LookupError:
        return None  # expat will name it
    return None if name in _NATIVE else name


def _refuse_entity(name: str, *_: object) -> None:
    raise RecordRejected(RejectReason.BOMB, f"XML declares an entity ({name}); only plain XML is read")
