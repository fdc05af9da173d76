"""XML from strangers, by expat: no entity declarations, no external entities, bounded depth."""

from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from phoenix_assets.ingest.records import RecordRejected
from phoenix_assets.schema import RejectReason

KERNEL_VERSION: Final = "1"

NAMESPACE_SEPARATOR: Final = "}"


def parser() -> expat.XMLParserType:
    """Return an expat parser that raises RecordRejected (bomb) at the first entity declaration.

    A document type without entities passes; its external part is never fetched.
    """
    created = expat.ParserCreate(namespace_separator=NAMESPACE_SEPARATOR)
    created.buffer_text = True
    created.EntityDeclHandler = _refuse_entity
    return created


def local_name(name: str) -> str:
    """Return an element or attribute name without its namespace."""
    return name.rpartition(NAMESPACE_SEPARATOR)[2]


def parse_tree(content: bytes, max_depth: int) -> Element:
    """Return the root of a small document; names are local, without namespaces.

    Raises RecordRejected: bomb (entities, depth) or corrupt (not well-formed).
    """
    builder, depth = TreeBuilder(), 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > max_depth:
            raise RecordRejected(RejectReason.BOMB, f"XML nested deeper than {max_depth} levels")
        builder.start(local_name(name), {local_name(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(local_name(name))

    xml = parser()
    xml.StartElementHandler = start
    xml.EndElementHandler = end
    xml.CharacterDataHandler = builder.data
    try:
        xml.Parse(content, True)
    except expat.ExpatError as error:
        raise RecordRejected(RejectReason.CORRUPT, f"XML is not well-formed: {error}") from error
    return builder.close()


def _refuse_entity(name: str, *_: object) -> None:
    raise RecordRejected(RejectReason.BOMB, f"XML declares an entity ({name}); only plain XML is read")
