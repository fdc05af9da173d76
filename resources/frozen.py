"""Frozen mixtures: recipes that read the same documents for ever, whatever is delivered, filtered or deleted later.

Freezing writes `lake/frozen/<version>.yaml`: the recipe, its fingerprint, and every input's asset, partition, data
version and table version. It lies in the lake because the versions are those of this lake's tables, so that whoever
vacuums them finds it. A frozen mixture is never stale; one whose recipe has changed, or whose data is gone, is an error.
Without the file the mixture is open again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from deltalake.exceptions import DeltaError

from phoenix_assets.config import Config, load, load_folder
from phoenix_assets.errors import ConfigError, LineageError, RecipeDrift, Withdrawn
from phoenix_assets.lineage import UNPARTITIONED, InputVersion, by_table_version
from phoenix_assets.mix.config import Mixture, load_mixture, recipe_digest
from phoenix_assets.mix.diff import value_diff
from resources.erasures import holding_erased
from resources.lake import Lake
from resources.ledger import LineageLedger

_NAMED_IN_MESSAGE = 10


class Frozen(Config):
    """`lake/frozen/<version>.yaml`."""

    mixture: str
    fingerprint: str  # `recipe_digest`
    frozen_at: str  # ISO 8601, UTC
    recipe: dict[str, Any]  # `Mixture.values`, to show what has changed since
    inputs: tuple[InputVersion, ...]

    def require_recipe(self, recipe: Mixture) -> None:
        """Raise RecipeDrift when the recipe is not the one that was frozen."""
        if recipe_digest(recipe) == self.fingerprint:
            return
        changed = value_diff(self.recipe, recipe.values())
        said = "; ".join(f"{path}: {old!r} became {new!r}" for path, (old, new) in changed.items())
        raise RecipeDrift(
            f"mixture {self.mixture} is frozen since {self.frozen_at[:10]}, and its recipe has changed: {said}. Put"
            f" config/mixtures/{self.mixture}.yaml back as it was, and write the change as a new version (base:"
            f" {self.mixture})"
        )

    def require_data(self, ledger: LineageLedger) -> None:
        """Raise Withdrawn naming the pinned partitions whose record or files are not there any more."""
        why = holding_erased(ledger, self.inputs)
        gone = sorted({*why, *_gone(ledger, self.inputs)})
        if not gone:
            return
        named = ", ".join(
            f"{asset}[{partition}]" + (f" (erased {said})" if (said := why.get((asset, partition))) else "")
            for asset, partition in gone[:_NAMED_IN_MESSAGE]
        )
        more = f" and {len(gone) - _NAMED_IN_MESSAGE} more" if len(gone) > _NAMED_IN_MESSAGE else ""
        raise Withdrawn(
            f"mixture {self.mixture} is withdrawn: it was frozen with {named}{more}, whose data has been erased or"
            f" removed. It cannot be made or trained on again; freeze a new version without"
            f" (base: {self.mixture}), or delete {frozen_path(ledger.lake, self.mixture)} to open it"
        )


def frozen_path(lake: Lake, version: str) -> Path:
    """Return the file that freezes a mixture."""
    return lake.root / "frozen" / f"{version}.yaml"


def frozen_mixtures(lake: Lake) -> dict[str, Frozen]:
    """Return every frozen mixture by version."""
    return load_folder(Frozen, lake.root / "frozen")


def frozen_mixture(lake: Lake, version: str) -> Frozen | None:
    """Return a mixture as it was frozen, None when it is open."""
    path = frozen_path(lake, version)
    return load(Frozen, path) if path.is_file() else None


def require_sound(ledger: LineageLedger, version: str) -> Frozen | None:
    """Return a mixture as it was frozen, None when it is open. Raises RecipeDrift, Withdrawn when it cannot be used."""
    frozen = frozen_mixture(ledger.lake, version)
    if frozen is not None:
        frozen.require_recipe(load_mixture(version))
        frozen.require_data(ledger)
    return frozen


def pinned_versions(lake: Lake) -> dict[str, list[int]]:
    """Return the table versions that frozen mixtures read, by asset: what a vacuum has to keep."""
    pinned: dict[str, set[int]] = {}
    for frozen in frozen_mixtures(lake).values():
        for source in frozen.inputs:
            pinned.setdefault(source.asset, set()).add(source.storage_version)
    return {asset: sorted(versions) for asset, versions in sorted(pinned.items())}


def freeze(ledger: LineageLedger, recipe: Mixture) -> Frozen:
    """Pin what the mixture was last made from, or would be made from now; return what was written.

    Raises ConfigError when it is frozen already, LineageError when there is nothing to pin.
    """
    path = frozen_path(ledger.lake, recipe.version)
    if path.exists():
        raise ConfigError(f"mixture {recipe.version} is frozen already; to open it again, delete {path}")
    inputs = _made_from(ledger, recipe) or newest_inputs(ledger, recipe)
    if not inputs:
        raise LineageError(
            f"mixture {recipe.version}: nothing is tagged of {', '.join(recipe.sources)}; run `phoenix materialize"
            f" {recipe.sources[0]}/tagged`"
        )
    frozen = Frozen(
        mixture=recipe.version,
        fingerprint=recipe_digest(recipe),
        frozen_at=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe=recipe.values(),
        inputs=inputs,
    )
    frozen.require_data(ledger)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_suffix(".tmp")
    written.write_text(
        yaml.safe_dump(frozen.model_dump(mode="json"), sort_keys=False, allow_unicode=True), "utf-8"
    )
    written.replace(path)
    return frozen


def newest_inputs(ledger: LineageLedger, recipe: Mixture) -> tuple[InputVersion, ...]:
    """Return the newest tagged partitions of the recipe's sources, all of a table at one version of it."""
    heads = ledger.all_heads([f"{source}/tagged" for source in recipe.sources])
    snapshots = {
        asset: max(stored.storage_version for stored in partitions.values())
        for asset, partitions in heads.items()
    }
    return tuple(
        stored.as_input(snapshots[asset])
        for asset, partitions in sorted(heads.items())
        for _, stored in sorted(partitions.items())
    )


def _made_from(ledger: LineageLedger, recipe: Mixture) -> tuple[InputVersion, ...]:
    """Return what the mixture's data was made from, nothing when it was made by another recipe or not at all."""
    head = ledger.head(f"mix/{recipe.version}")
    if head is None or head.record.config.get("recipe_digest") != recipe_digest(recipe):
        return ()
    return head.record.inputs


def _gone(ledger: LineageLedger, inputs: Iterable[InputVersion]) -> Iterator[tuple[str, str]]:
    """Yield the asset partitions whose record or one of whose files is missing."""
    for (asset, _), sources in by_table_version(inputs).items():
        try:
            shards = ledger.lake.shards(sources[0].model_copy(update={"partition": UNPARTITIONED}))
        except DeltaError:  # the table, or its log up to there, has been removed
            yield from ((asset, source.partition) for source in sources)
            continue
        whole = Counter(shard.partition for shard in shards if shard.path.is_file())
        named = Counter(shard.partition for shard in shards)
        for source in sources:
            if named[source.partition] != whole[source.partition] or not _is_recorded(ledger, source):
                yield asset, source.partition


def _is_recorded(ledger: LineageLedger, source: InputVersion) -> bool:
    try:
        ledger.record_of(source)
    except LineageError:
        return False
    return True
