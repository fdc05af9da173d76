"""Put a delivery into the landing folder exactly as a vendor would: built beside, then renamed into place.

Beside the manifest lies `origin.yaml` (not part of the delivery proper): the archives that the files were
made of, with version, checksum and licence, and a fingerprint by which an unchanged delivery is recognised
and left alone.
"""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from phoenix_assets.ingest.delivery import (
    MANIFEST_NAME,
    DeliveryManifest,
    describe,
    read_manifest,
    write_manifest,
)
from phoenix_assets.ingest.sample.archives import Fetched

ORIGIN_NAME: Final = "origin.yaml"


def origin_text(fingerprint: str, archives: Sequence[Fetched], licence_basis: str | None) -> str:
    """Return the content of `origin.yaml`."""
    values = {
        "fingerprint": fingerprint,
        **({"licence_basis": licence_basis} if licence_basis else {}),
        "archives": [
            {"name": one.name, "version": one.version, "licence": one.licence, "sha256": one.sha256}
            for one in archives
        ],
    }
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)


def is_landed(folder: Path, fingerprint: str) -> bool:
    """Return whether `folder` holds the delivery of that fingerprint, all files in their promised sizes."""
    origin = folder / ORIGIN_NAME
    if not origin.is_file() or yaml.safe_load(origin.read_text("utf-8")).get("fingerprint") != fingerprint:
        return False
    return (folder / MANIFEST_NAME).is_file() and all(
        (path := folder / file.path).is_file() and path.stat().st_size == file.bytes
        for file in read_manifest(folder).files
    )


def land(landing: Path, promise: DeliveryManifest, files: Mapping[str, bytes], origin: str) -> Path:
    """Write the files, their manifest (`promise` with the files filled in) and the origin; return the folder.

    A delivery that has landed with the same manifest keeps its files untouched; another one is replaced.
    """
    folder = landing / promise.source / promise.delivery
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{promise.delivery}-") as temporary:
        built = Path(temporary) / "delivery"
        for path, body in sorted(files.items()):
            (built / path).parent.mkdir(parents=True, exist_ok=True)
            (built / path).write_bytes(body)
        write_manifest(
            built,
            promise.model_copy(update={"files": tuple(describe(built, path) for path in sorted(files))}),
        )
        (built / ORIGIN_NAME).write_text(origin, "utf-8")
        if _same_manifest(built, folder):
            (built / ORIGIN_NAME).replace(folder / ORIGIN_NAME)
        else:
            if folder.exists():
                shutil.move(folder, Path(temporary) / "replaced")
            built.rename(folder)
    return folder


def _same_manifest(one: Path, other: Path) -> bool:
    return (
        (other / MANIFEST_NAME).is_file()
        and ((one / MANIFEST_NAME).read_bytes() == (other / MANIFEST_NAME).read_bytes())
        and all((other / file.path).is_file() for file in read_manifest(other).files)
    )
