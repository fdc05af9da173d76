"""Croissant metadata of a mixture (http://mlcommons.org/croissant/1.0): its files, their columns, where it comes from.

Each file is a record set of its own: a set of files is read from an archive or from the metadata's own folder only.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from phoenix_assets.audit.dataset_card import MixtureFacts

KERNEL_VERSION: Final = "1"
_PARQUET: Final = "application/x-parquet"
_CONTEXT: Final[Mapping[str, Any]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet", "format",
            "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
            "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
        )
    },
}  # fmt: skip
_TYPES: Final = {"String": "sc:Text", "Int32": "sc:Integer", "Int64": "sc:Integer", "Float64": "sc:Float", "Boolean": "sc:Boolean"}  # fmt: skip


@dataclass(frozen=True)
class DataFile:
    """A Parquet file of a mixture: its place, as the metadata file sees it, its bytes and its SHA-256."""

    url: str
    bytes: int
    sha256: str


def croissant(
    facts: MixtureFacts, files: Sequence[DataFile], columns: Mapping[str, str], described: Mapping[str, str]
) -> dict[str, Any]:
    """Return the JSON-LD of a mixture whose `files` have `columns` (name → type); `described` says what they hold."""
    record = facts.record
    return {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "name": f"mixture-{facts.version}",
        "description": facts.summary(),
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "url": f"urn:phoenix:mix:{facts.version}:{record.data_version}",
        "version": _version(facts),
        "license": [_licence_url(licence) for licence in facts.licences],
        "creator": [{"@type": "sc:Organization", "name": vendor} for vendor in facts.deliveries["vendor"].unique().sort()],
        "datePublished": record.finished[:10],
        "inLanguage": facts.known_languages,
        "keywords": facts.deliveries["source"].unique().sort().to_list(),
        "citeAs": f"Mixture {facts.version}, version {record.data_version}",
        "isLiveDataset": False,
        "rai:dataCollection": f"{facts.deliveries.height} deliveries; the dataset card names each, with vendor and licence.",
        "rai:dataPreprocessingProtocol": [
            f"{asset}: {version}" for asset, version in sorted({one.asset: one.code_version for one in facts.stages}.items())
        ],
        "distribution": [_file_object(number, file) for number, file in enumerate(files)],
        "recordSet": [_record_set(number, columns, described) for number in range(len(files))],
    }  # fmt: skip


def _file_object(number: int, file: DataFile) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": f"part-{number}",
        "name": f"part-{number}",
        "contentUrl": file.url,
        "contentSize": f"{file.bytes} B",
        "encodingFormat": _PARQUET,
        "sha256": file.sha256,
    }


def _record_set(number: int, columns: Mapping[str, str], described: Mapping[str, str]) -> dict[str, Any]:
    name = f"documents-{number}"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"The documents of part {number}, a row each.",
        "key": {"@id": f"{name}/doc_id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": described[column],
                "dataType": _TYPES[kind],
                "source": {"fileObject": {"@id": f"part-{number}"}, "extract": {"column": column}},
            }
            for column, kind in columns.items()
        ],
    }


def _version(facts: MixtureFacts) -> str:
    """Return a semantic version: the mixture's own numbers, then the table version, which grows with every change."""
    numbers = [*re.findall(r"\d+", facts.version), "0", "0"]
    return f"{int(numbers[0])}.{int(numbers[1])}.{facts.storage_version}"


def _licence_url(licence: str) -> str:
    return licence if licence.startswith("LicenseRef-") else f"https://spdx.org/licenses/{licence}.html"
