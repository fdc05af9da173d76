"""A delivery: a folder `<source>/<delivery>/` with files and a `delivery.yaml` that says what they are.

The manifest is untrusted input. It is size-limited, may hold neither aliases nor deep nesting, and names
files only below its own folder. A delivery is taken whole or not at all: `read_manifest` and `verify` say, in
words that can be sent to the vendor, what is wrong with it.
"""

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Collection
from datetime import date
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from phoenix_assets.errors import DeliveryError
from phoenix_assets.fields import FieldMap
from phoenix_assets.ingest.untrusted_yaml import UntrustedYaml, load_untrusted
from phoenix_assets.schema import RejectReason
from phoenix_assets.spdx import licence_id

MANIFEST_NAME: Final = "delivery.yaml"
MAX_MANIFEST_BYTES: Final = 32 * 2**20  # some 200,000 files
MAX_MANIFEST_DEPTH: Final = 8
BLOCK_BYTES: Final = 4 * 2**20

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class Use(StrEnum):
    """What a licence allows the data to be used for."""

    PRETRAINING = "pretraining"
    FINETUNING = "finetuning"
    EVALUATION = "evaluation"
    RESEARCH = "research"
    REDISTRIBUTION = "redistribution"


class DeliveryRejected(DeliveryError):
    """A delivery, or one file of it, is not as promised: reason, message, file ("" for the delivery)."""

    def __init__(self, reason: RejectReason, message: str, file: str = "") -> None:
        super().__init__(reason, message, file)
        self.reason = reason
        self.message = message
        self.file = file

    def __str__(self) -> str:
        return self.message


def _safe_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("use 1 to 100 letters, digits, '.', '-' or '_', not starting with '.'")
    return name


def _safe_path(path: str) -> str:
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in path) or "\\" in path:
        raise ValueError("a file path may not hold control characters or backslashes")
    if path.startswith("/") or any(part in {"", ".", ".."} for part in path.split("/")):
        raise ValueError(
            "a file path must be relative to the delivery's folder, without '.', '..' or empty parts"
        )
    if path == MANIFEST_NAME:
        raise ValueError("the manifest may not list itself")
    return path


SafeName = Annotated[str, AfterValidator(_safe_name)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeliveredFile(_Part):
    """One file: its path below the delivery's folder (POSIX), its size in bytes and its SHA-256 in hex."""

    path: Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_safe_path)]
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Licence(_Part):
    """The licence of a delivery: SPDX identifier (or LicenseRef-…), last day of validity, allowed uses."""

    id: Annotated[str, Field(max_length=100), AfterValidator(licence_id)]
    expires: date | None = None
    allows: tuple[Use, ...] = Field(min_length=1)

    def permits(self, use: Use, on: date) -> bool:
        """Tell whether `use` is allowed on the day `on`."""
        return use in self.allows and (self.expires is None or on <= self.expires)


class DeliveryManifest(_Part):
    """What a vendor promises: whose data of which source, under which licence, in which files."""

    source: SafeName
    delivery: SafeName
    vendor: str = Field(min_length=1, max_length=200)
    licence: Licence
    received: date
    format: str = Field(min_length=1, max_length=100)
    fields: FieldMap | None = None  # what the records' fields are called; without it, as the source says
    files: tuple[DeliveredFile, ...]

    @field_validator("files")
    @classmethod
    def _no_file_twice(cls, files: tuple[DeliveredFile, ...]) -> tuple[DeliveredFile, ...]:
        seen: set[str] = set()
        for file in files:
            if file.path in seen:
                raise ValueError(f"{file.path} is listed twice")
            seen.add(file.path)
        return files


def read_manifest(folder: Path) -> DeliveryManifest:
    """Read and check the manifest of the delivery in `folder` (`…/<source>/<delivery>`).

    Raises DeliveryRejected: missing_file without a manifest, path_escapes for a file outside the folder, else
    bad_manifest. The files themselves are looked at by `verify`.
    """
    return parse_manifest(manifest_bytes(folder), folder.parent.name, folder.name)


def parse_manifest(content: bytes, source: str, delivery: str) -> DeliveryManifest:
    """Return the manifest of the delivery that lies in `<source>/<delivery>`. Raises DeliveryRejected."""
    try:
        values = load_untrusted(content, max_bytes=MAX_MANIFEST_BYTES, max_depth=MAX_MANIFEST_DEPTH)
        manifest = DeliveryManifest.model_validate(values)
    except UntrustedYaml as error:
        raise _bad_manifest(str(error)) from error
    except ValidationError as error:
        raise _as_rejection(error) from error
    if (manifest.source, manifest.delivery) != (source, delivery):
        raise _bad_manifest(
            f"it describes {manifest.source}/{manifest.delivery} but lies in {source}/{delivery}; "
            "correct the names or move the folder"
        )
    return manifest


def manifest_identity(content: bytes) -> str:
    """Return the SHA-256 of a manifest: it names every file with its own, so it identifies the delivery."""
    return hashlib.sha256(content).hexdigest()


def manifest_sha256(folder: Path) -> str:
    """Return the identity of the delivery in `folder`. Raises DeliveryRejected like `manifest_bytes`."""
    return manifest_identity(manifest_bytes(folder))


def check_known(manifest: DeliveryManifest, sources: Collection[str], formats: Collection[str]) -> None:
    """Raise DeliveryRejected (unknown_source, unknown_format) unless both are among the known."""
    if manifest.source not in sources:
        message = f"source {manifest.source!r} is not known; known are: {', '.join(sorted(sources))}"
        raise DeliveryRejected(RejectReason.UNKNOWN_SOURCE, message)
    if manifest.format not in formats:
        message = f"format {manifest.format!r} cannot be read; known are: {', '.join(sorted(formats))}"
        raise DeliveryRejected(RejectReason.UNKNOWN_FORMAT, message)


def check_holds_data(manifest: DeliveryManifest) -> None:
    """Raise DeliveryRejected (empty_delivery) when the manifest promises no file, or only empty ones."""
    if not any(file.bytes for file in manifest.files):
        message = (
            f"delivery {manifest.source}/{manifest.delivery} holds no data: no files, or only empty ones"
        )
        raise DeliveryRejected(RejectReason.EMPTY_DELIVERY, message)


def verify_file(folder: Path, delivered: DeliveredFile) -> None:
    """Compare one file with what the manifest says.

    Raises DeliveryRejected: missing_file, path_escapes (a symbolic link leads outside `folder`), wrong_size
    or wrong_checksum.
    """
    path = folder / delivered.path
    if not path.resolve().is_relative_to(folder.resolve()):
        message = (
            f"{delivered.path} leads outside the delivery's folder; deliver the file itself, not a link to it"
        )
        raise DeliveryRejected(RejectReason.PATH_ESCAPES, message, delivered.path)
    if not path.is_file():
        message = f"{delivered.path} is listed in the manifest but was not delivered as a file"
        raise DeliveryRejected(RejectReason.MISSING_FILE, message, delivered.path)
    size = path.stat().st_size
    if size != delivered.bytes:
        message = f"{delivered.path} has {size} bytes, the manifest says {delivered.bytes}; deliver it again"
        raise DeliveryRejected(RejectReason.WRONG_SIZE, message, delivered.path)
    checksum = _sha256(path)
    if checksum != delivered.sha256:
        message = (
            f"{delivered.path} has SHA-256 {checksum}, the manifest says {delivered.sha256}; deliver it again"
        )
        raise DeliveryRejected(RejectReason.WRONG_CHECKSUM, message, delivered.path)


def verify(folder: Path, manifest: DeliveryManifest) -> list[DeliveryRejected]:
    """Return everything wrong with the files of a delivery, in manifest order; nothing if all is well."""
    try:
        check_holds_data(manifest)
    except DeliveryRejected as problem:
        return [problem]
    problems = []
    for file in manifest.files:
        try:
            verify_file(folder, file)
        except DeliveryRejected as problem:
            problems.append(problem)
    return problems


def describe(folder: Path, path: str) -> DeliveredFile:
    """Return the manifest entry of the file at `path` below `folder`."""
    return DeliveredFile(path=path, bytes=(folder / path).stat().st_size, sha256=_sha256(folder / path))


def write_manifest(folder: Path, manifest: DeliveryManifest) -> Path:
    """Write `manifest` into `folder` in one rename, and return its path. Equal manifests give equal bytes."""
    values = manifest.model_dump(mode="json", exclude=None if manifest.fields else {"fields"})
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=folder, prefix=".manifest-", delete=False
    ) as temporary:
        temporary.write(text)
        temporary.flush()
        os.fsync(temporary.fileno())
    target = folder / MANIFEST_NAME
    Path(temporary.name).chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)
    Path(temporary.name).replace(target)
    return target


def manifest_bytes(folder: Path) -> bytes:
    """Return the manifest in `folder` as it lies there, but no more of it than a manifest may have.

    Raises DeliveryRejected: missing_file, or path_escapes for a link that leads outside the folder.
    """
    path = folder / MANIFEST_NAME
    if not path.resolve().is_relative_to(folder.resolve()):
        message = (
            f"{MANIFEST_NAME} leads outside the delivery's folder; deliver the file itself, not a link to it"
        )
        raise DeliveryRejected(RejectReason.PATH_ESCAPES, message, MANIFEST_NAME)
    if not path.is_file():
        raise no_manifest()
    with path.open("rb") as stream:
        return stream.read(MAX_MANIFEST_BYTES + 1)


def no_manifest() -> DeliveryRejected:
    """Return what is wrong with a delivery that has no manifest."""
    message = f"the delivery has no {MANIFEST_NAME}"
    return DeliveryRejected(RejectReason.MISSING_FILE, message, MANIFEST_NAME)


def _as_rejection(error: ValidationError) -> DeliveryRejected:
    problems = error.errors(include_url=False)
    lines = [
        f"{'.'.join(map(str, problem['loc'])) or 'manifest'}: {problem['msg']}" for problem in problems[:10]
    ]
    escaping = [
        str(problem["input"])
        for problem in problems
        if problem["loc"][:1] == ("files",) and problem["loc"][-1] == "path" and _escapes(problem["input"])
    ]
    if escaping:
        message = (
            f"{escaping[0]!r} leads outside the delivery's folder; use a path relative to it, without '..'"
        )
        return DeliveryRejected(RejectReason.PATH_ESCAPES, message, escaping[0])
    return _bad_manifest("; ".join(lines))


def _escapes(path: object) -> bool:
    return isinstance(path, str) and (
        path.startswith("/") or ".." in PurePosixPath(path.replace("\\", "/")).parts
    )


def _bad_manifest(problem: str) -> DeliveryRejected:
    return DeliveryRejected(RejectReason.BAD_MANIFEST, f"{MANIFEST_NAME}: {problem}", MANIFEST_NAME)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
