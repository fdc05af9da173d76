"""What people call data in an audit: `cc/filtered`, `cc/filtered[CC-MAIN-2024-22-000]`, `mix/v3@<version>`, `demo`, `demo:100`.

A version is a data version (its first digits are enough) or the storage version of the table: a number.
"""

import re
from typing import Final

from phoenix_assets.audit.runs import checkpoint_at
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import SideTable, StoredRecord
from resources.lake import Lake
from resources.ledger import LineageLedger

_NAME: Final = re.compile(r"(?P<asset>[^\[\]@]+)(?:\[(?P<partition>[^\]]*)\])?(?:@(?P<version>[0-9a-f-]+))?")
_STORAGE_VERSION: Final = 8  # digits at most: a data version has more


def dataset_named(lake: Lake, ledger: LineageLedger, name: str) -> list[StoredRecord]:
    """Return the records of a dataset, one a partition, as they are or were at a version. Raises LineageError."""
    found = _NAME.fullmatch(name)
    asset = found["asset"] if found else ""
    if found is None or not lake.exists(asset):
        raise LineageError(
            f"no dataset {name!r}; write asset, asset[partition] or asset@version: {_nearest(lake, asset)}"
        )
    version, partition = found["version"], found["partition"]
    if version is None:
        records = [one for _, one in sorted(ledger.heads(asset).items())]
    else:
        records = _at(ledger.history([asset], partition), version)
    if partition is not None:
        records = [one for one in records if one.record.partition == partition]
    if not records:
        there = ", ".join(one.record.data_version for one in ledger.history([asset], partition)[:5])
        raise LineageError(f"{name}: nothing of it in the lake; its last versions are: {there or 'none'}")
    return records


def subject_named(lake: Lake, ledger: LineageLedger, name: str) -> list[StoredRecord]:
    """Return the records of a dataset, or of an experiment's checkpoint: `demo` or `demo:100`. Raises LineageError."""
    experiment, _, step = name.removeprefix("checkpoints/").partition(":")
    if lake.exists(f"checkpoints/{experiment}") and (step.isdigit() or not step):
        return [checkpoint_at(ledger, experiment, int(step) if step else None)]
    return dataset_named(lake, ledger, name)


def place_of(stored: StoredRecord) -> str:
    """Return what people call a record: `asset` or `asset[partition]`."""
    record = stored.record
    return f"{record.asset}[{record.partition}]" if record.partition else record.asset


def _at(history: list[StoredRecord], version: str) -> list[StoredRecord]:
    """Return of records, newest first, those with a data version, or the newest of each partition at a storage version."""
    if len(version) > _STORAGE_VERSION or not version.isdigit():
        return [one for one in history if one.record.data_version.startswith(version)][:1]
    newest: dict[str, StoredRecord] = {}
    for one in sorted(history, key=lambda stored: stored.storage_version):
        if one.storage_version <= int(version):
            newest[one.record.partition] = one
    return [one for _, one in sorted(newest.items())]


def _nearest(lake: Lake, asset: str) -> str:
    stage = asset.rpartition("/")[2]
    near = [
        name
        for name in lake.assets()
        if name.partition("/")[0] not in set(SideTable)
        and asset
        and (name.startswith(asset) or name.endswith(f"/{stage}"))
    ]
    return f"there are {', '.join(near[:12])}" if near else "there are no datasets of such a name"
