"""A lake as large as one wants, without text, for the bench of audits: ledgers, decisions, a mixture, tokens, a run.

Its records are made by a `Build`, so that audits run on it as on any other; only content hashes are made up.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from bench.orders import lengths
from phoenix_assets.config import digest
from phoenix_assets.content_hash import ContentHash
from phoenix_assets.dedup.config import Granularity
from phoenix_assets.dedup.stages import DECISION
from phoenix_assets.ingest.register import RAW_FILE
from phoenix_assets.lineage import InputVersion, LicenceTerms, SideTable, StoredRecord
from phoenix_assets.mix.select import SELECTION
from phoenix_assets.schema import DOCUMENT, KEPT, LEDGER
from phoenix_assets.tokens.indexed import token_dtype, write_index
from phoenix_assets.tokens.trace import ORIGIN, documents_file, origins_file
from resources.build import Build
from resources.dedup_index import origin
from resources.lake import FILES, Lake, StagedFile
from resources.ledger import LineageLedger
from training_jobs.data_order import OrderPlan, sequence_count

SOURCES: Final = ("cc", "wiki", "qa", "manual")
FILES_OF_A_DELIVERY: Final = 4
LEFT: Final = {
    "extracted": 1.0,
    "normalized": 1.0,
    "filtered": 0.6,
    "deduped": 0.55,
    "trimmed": 0.5,
    "tagged": 0.5,
}
RULES: Final = 9
COPIES: Final = 25  # documents to a duplicate
SEQUENCE_LENGTH: Final = 2048
GLOBAL_BATCH: Final = 2048
CHECKPOINTS: Final = 5
SHARD_DOCUMENTS: Final = 500_000
_ROW_GROUP: Final = 16_384  # as `lake.stage` writes them
_BYTE: Final = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], dtype=np.uint8)


def ledger_lake(home: Path, rows: int, deliveries: int) -> None:
    """Write a lake with about so many ledger rows of so many deliveries into `home`, unless it is there."""
    done = home / f"{rows}-{deliveries}.done"
    if done.exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    documents = int(
        rows / (1 + sum(LEFT.values())) / deliveries
    )  # the first stage sees what came, the mixture what is left
    _Writer(home, documents).write(
        [(SOURCES[one % len(SOURCES)], f"delivery-{one:05d}") for one in range(deliveries)]
    )
    LineageLedger(Lake(home)).refresh()
    done.touch()


@dataclass
class _Writer:
    """Writes one lake; what a stage left of each delivery is kept by position alone."""

    home: Path
    documents: int  # a delivery

    def __post_init__(self) -> None:
        self.lake = Lake(self.home)
        self.ledger = LineageLedger(self.lake)

    def write(self, names: list[tuple[str, str]]) -> None:
        chains = [self._chain(number, *name) for number, name in enumerate(names)]
        indexes = self._indexes(names, chains)
        for number, (source, delivery) in enumerate(names):
            self._later_stages(number, source, delivery, chains[number], indexes)
        tagged = [self.ledger.resolve(f"{source}/tagged", delivery) for source, delivery in names]
        mixture = self._mixture(names, tagged)
        self._run(names, mixture)

    def _ids(self, number: int, left: float) -> pl.Series:
        """Return the first documents of a delivery, as many as are left: a stage drops the last ones."""
        raw = np.random.default_rng(number).integers(0, 256, (self.documents, 16), dtype=np.uint8)
        digits = _BYTE[raw[: int(self.documents * left)]].reshape(-1, 32)
        return pl.Series("doc_id", digits.view("S32").ravel()).cast(pl.String)

    def _chain(self, number: int, source: str, delivery: str) -> dict[str, StoredRecord]:
        terms = LicenceTerms(
            source=source, delivery=delivery, licence="LicenseRef-Bench", allows=("pretraining",),
            expires=(date(2026, 1, 1) + timedelta(days=number)).isoformat(),
        )  # fmt: skip
        files = [f"part-{file}.warc.gz" for file in range(FILES_OF_A_DELIVERY)]
        frame = pl.DataFrame({"file": files}).select(
            *(pl.lit(value).alias(name) for name, value in (("source", source), ("delivery", delivery))), "file",
            bytes=pl.lit(1 << 30), sha256=pl.lit("0" * 64), format=pl.lit("warc"), vendor=pl.lit("bench"),
            licence=pl.lit(terms.licence), received=pl.lit("2026-01-01"), fields=pl.lit(""),
        )  # fmt: skip
        build = self._build(f"{source}/raw", delivery)
        staged = [_stage(build.table_dir, frame, "delivery", delivery)]
        chain = {"raw": self._commit(build, RAW_FILE, staged, licences=(terms,))}
        ids = self._ids(number, 1.0)
        rows = pl.int_range(self.documents, eager=True)
        documents = pl.DataFrame({"doc_id": ids}).with_columns(
            source=pl.lit(source), delivery=pl.lit(delivery),
            locator=pl.format("part-{}.warc.gz#{}", rows % FILES_OF_A_DELIVERY, rows),
            url=pl.format("https://example.org/{}/{}", pl.lit(number), rows) if source == "cc" else pl.lit(None, pl.String),
            title=pl.lit(""), lang=pl.lit(""), text=pl.lit(""), meta=pl.lit("{}"),
        ).select(DOCUMENT.names())  # fmt: skip
        build = self._build(f"{source}/extracted", delivery, [chain["raw"].as_input()])
        staged = [_stage(build.table_dir, documents, "delivery", delivery)]
        chain["extracted"] = self._staged(build, "extracted", ids, ids, DOCUMENT, staged)
        for before, stage in (("extracted", "normalized"), ("normalized", "filtered")):
            build = self._build(
                f"{source}/{stage}",
                delivery,
                [chain[before].as_input()],
                {"filter_profile": {"name": "bench"}},
            )
            chain[stage] = self._staged(
                build, stage, self._ids(number, LEFT[before]), self._ids(number, LEFT[stage]), DOCUMENT
            )
        build = self._build(f"{source}/signatures", delivery, [chain["filtered"].as_input()])
        chain["signatures"] = self._commit(build, DECISION, [])
        return chain

    def _later_stages(
        self,
        number: int,
        source: str,
        delivery: str,
        chain: dict[str, StoredRecord],
        indexes: list[InputVersion],
    ) -> None:
        for before, stage in (("filtered", "deduped"), ("deduped", "trimmed"), ("trimmed", "tagged")):
            inputs = [chain[before].as_input(), *(indexes if stage == "deduped" else [])]
            build = self._build(f"{source}/{stage}", delivery, inputs)
            chain[stage] = self._staged(
                build, stage, self._ids(number, LEFT[before]), self._ids(number, LEFT[stage]), DOCUMENT
            )

    def _staged(
        self,
        build: Build,
        stage: str,
        came: pl.Series,
        left: pl.Series,
        schema: pl.Schema,
        staged: Iterable[StagedFile] = (),
    ) -> StoredRecord:
        """Commit a stage with its ledger, which is all that audits read of most stages."""
        kept = pl.int_range(len(came), eager=True) < len(left)
        reason = pl.when(kept).then(pl.lit(KEPT)).otherwise(pl.lit(f"{stage}_rule"))
        frame = _ledger(came, stage, build.partition, kept, reason, RULES if stage == "filtered" else 0)
        folder = self.lake.table_dir(build.side_asset(SideTable.LEDGER))
        size = -(-frame.height // FILES_OF_A_DELIVERY)
        parts = [
            _stage(folder, part.sort("doc_id"), "delivery", build.partition)
            for part in frame.iter_slices(size)
        ]
        side = build.commit_side(SideTable.LEDGER, LEDGER, parts)
        dropped = len(came) - len(left)
        counts = {"rows_in": len(came), "rows_out": len(left), "rows_dropped": dropped}
        reasons = {f"{stage}_rule": dropped} if dropped else {}
        return self._commit(
            build, schema, staged, counts=counts, reasons=reasons, side_tables={SideTable.LEDGER: side}
        )

    def _indexes(
        self, names: list[tuple[str, str]], chains: list[dict[str, StoredRecord]]
    ) -> list[InputVersion]:
        signatures = [chain["signatures"].as_input() for chain in chains]
        made: list[InputVersion] = []
        for granularity in Granularity:
            build = self._build(f"dedup/general/{granularity}", "", [*signatures, *made[-1:]])
            staged = [
                _stage(build.table_dir, self._decisions(number, *name, granularity), "origin", origin(*name))
                for number, name in enumerate(names)
            ]
            build.partitioned_by = "origin"
            record = build.commit(
                DECISION,
                staged,
                counts={"rows_out": sum(one.rows for one in staged)},
                partitions=[origin(*name) for name in names],
            )
            made.append(record.as_input())
        return made

    def _decisions(self, number: int, source: str, delivery: str, granularity: str) -> pl.DataFrame:
        ids = self._ids(number, LEFT["filtered"])
        copy = (pl.int_range(len(ids), eager=True) % COPIES == 1) & (granularity == Granularity.NEAR)
        return pl.DataFrame({"doc_id": ids, "copy": copy, "before": ids.shift(1)}).select(
            "doc_id", source=pl.lit(source), delivery=pl.lit(delivery), kept=~pl.col("copy"),
            duplicate_of=pl.when("copy").then("before"), similarity=pl.when("copy").then(0.9),
            band=pl.when("copy").then(pl.lit(0, pl.Int16)), granularity=pl.lit(str(granularity)), number=pl.int_range(pl.len()),
        )  # fmt: skip

    def _mixture(self, names: list[tuple[str, str]], tagged: list[InputVersion]) -> StoredRecord:
        build = self._build("mix/v3", "", tagged, {"recipe": {"components": {"crawl": {}}}})
        chosen, ledgers = [], []
        for batch in self._batches(names):
            rows = batch.sort("doc_id")
            chosen.append(_stage(build.table_dir, rows, None, ""))
            folder = self.lake.table_dir(build.side_asset(SideTable.LEDGER))
            ids, kept = rows["doc_id"], pl.repeat(True, rows.height, eager=True)
            ledgers.append(
                _stage(
                    folder,
                    _ledger(ids, "mix", "", kept, pl.lit(KEPT), 0).with_columns(delivery=rows["delivery"]),
                    None,
                    "",
                )
            )
        side = build.commit_side(SideTable.LEDGER, LEDGER, ledgers)
        count = sum(file.rows for file in chosen)
        counts = {"rows_in": count, "rows_out": count, "rows_dropped": 0}
        return self._commit(build, SELECTION, chosen, counts=counts, side_tables={SideTable.LEDGER: side})

    def _batches(self, names: list[tuple[str, str]]) -> Iterator[pl.DataFrame]:
        """Yield the documents of the mixture, SELECTION rows, as many at a time as a mixture is decided in."""
        waiting: list[pl.DataFrame] = []
        for number, (source, delivery) in enumerate(names):
            ids = self._ids(number, LEFT["tagged"])
            waiting.append(
                pl.DataFrame({"doc_id": ids}).with_columns(
                    source=pl.lit(source), delivery=pl.lit(delivery), component=pl.lit("crawl"), split=pl.lit("train"),
                    copies=pl.lit(1, pl.Int32), chars=pl.lit(2000), est_tokens=pl.lit(700), reason=pl.lit(None, pl.String),
                )
            )  # fmt: skip
            if sum(map(len, waiting)) >= SHARD_DOCUMENTS or number == len(names) - 1:
                yield pl.concat(waiting)
                waiting = []

    def _run(self, names: list[tuple[str, str]], mixture: StoredRecord) -> None:
        folder, tokens = self._shards(names)
        build = self._build("tokens/v3", "", [mixture.as_input()])
        side = build.commit_side(
            SideTable.FILES, FILES, [self._files(build.side_asset(SideTable.FILES), folder)]
        )
        shards = self._commit(
            build,
            pl.Schema({"split": pl.String}),
            [],
            counts={"rows_out": 1, "tokens": tokens},
            side_tables={SideTable.FILES: side},
        )
        count = sequence_count(tokens, SEQUENCE_LENGTH)
        places = np.random.default_rng(0).permutation(count).astype(np.uint32)
        batch = max(1, min(GLOBAL_BATCH, count // 10))
        plan = OrderPlan(SEQUENCE_LENGTH, batch, tokens, places, np.zeros(1, np.int64), np.array([tokens]))
        build = self._build("order/demo", "", [shards.as_input(), mixture.as_input()])
        plan.save(self.lake.table_dir("order/demo") / "_files" / "plan")
        order = self._commit(
            build, FILES, [self._files("order/demo", self.lake.table_dir("order/demo") / "_files" / "plan")]
        )
        build = self._build("train/demo", "", [shards.as_input(), order.as_input()])
        train = self._commit(build, pl.Schema({"step": pl.Int64}), [], counts={"rows_out": plan.steps})
        for number in range(1, CHECKPOINTS + 1):
            step = plan.steps * number // CHECKPOINTS
            build = self._build("checkpoints/demo", f"step-{step:06d}", [train.as_input()])
            counts = {"rows_out": 1, "step": step, "tokens_seen": step * batch * SEQUENCE_LENGTH}
            self._commit(build, FILES, [], counts=counts)

    def _shards(self, names: list[tuple[str, str]]) -> tuple[Path, int]:
        """Write the trace index of the mixture; return its folder and the tokens."""
        folder = self.lake.table_dir("files/tokens/v3") / "_files" / "shards"
        folder.mkdir(parents=True)
        columns = {"source": [name[0] for name in names], "delivery": [name[1] for name in names]}
        same: Mapping[str, Any] = {"component": "crawl", "lang": "en", "copies": 1, "copy": 0}
        origins = pl.DataFrame(columns).with_columns(**{name: pl.lit(value) for name, value in same.items()})
        origins.select(pl.col(name).cast(kind) for name, kind in ORIGIN.items()).write_parquet(
            origins_file(folder, "train")
        )
        tokens = 0
        for number in range(len(names)):
            raw = np.random.default_rng(number).integers(0, 256, (self.documents, 16), dtype=np.uint8)
            count, prefix = int(self.documents * LEFT["tagged"]), folder / f"train-{number:05d}"
            sizes = lengths(count, number)
            tokens += int(sizes.sum())
            write_index(prefix.with_suffix(".idx"), sizes, token_dtype(32_000))
            rows = np.empty(count, dtype=[("doc_id", np.uint8, (16,)), ("origin", np.uint16)])
            rows["doc_id"], rows["origin"] = raw[:count], number
            np.save(documents_file(prefix), rows)
        return folder, tokens

    def _files(self, asset: str, folder: Path) -> StagedFile:
        """Stage the list of the files in a folder below the asset's."""
        home = self.lake.table_dir(asset)
        rows = [
            (path.name, path.stat().st_size, "0" * 64, str(path.relative_to(home)))
            for path in sorted(folder.iterdir())
        ]
        return _stage(home, pl.DataFrame(rows, schema=FILES, orient="row"), None, "")

    def _build(
        self,
        asset: str,
        partition: str,
        inputs: Iterable[InputVersion] = (),
        config: Mapping[str, Any] | None = None,
    ) -> Build:
        column = {"checkpoints/demo": "checkpoint"}.get(asset, "delivery") if partition else None
        return Build(
            lake=self.lake, ledger=self.ledger, asset=asset, partition=partition, code_version="bench.1+cfg=0",
            config=config or {}, run_id="bench", inputs=tuple(inputs), partitioned_by=column,
        )  # fmt: skip

    def _commit(
        self, build: Build, schema: pl.Schema, staged: Iterable[StagedFile], **facts: Any
    ) -> StoredRecord:
        files = list(staged)
        facts.setdefault("counts", {"rows_out": sum(file.rows for file in files)})
        version = f"{ContentHash(1, int(digest(build.asset, build.partition), 16)).data_version}"
        return build.commit(schema, files, data_version=version, **facts)


def _ledger(
    ids: pl.Series, stage: str, delivery: str, kept: pl.Series, reason: pl.Expr, rules: int
) -> pl.DataFrame:
    rng = np.random.default_rng(len(ids))
    names = [f"rule_{number}" for number in range(rules)]
    values = rng.integers(0, 100, (len(ids), rules)) / 100
    listed = (
        pl.Series(values.ravel()).reshape((len(ids), rules)).cast(pl.List(pl.Float64))
        if rules
        else pl.repeat([], len(ids), dtype=pl.List(pl.Float64), eager=True)
    )
    frame = pl.DataFrame({"doc_id": ids, "kept": kept, "rules_value": listed}).with_columns(
        delivery=pl.lit(delivery), stage=pl.lit(stage), drop_reason=reason,
        rules_name=pl.lit(names, dtype=pl.List(pl.String)), rules_cond=pl.lit([True] * rules, dtype=pl.List(pl.Boolean)),
        duplicate_of=pl.lit(None, pl.String), chars_in=pl.lit(2000), chars_out=pl.lit(2000), lang=pl.lit("en"),
    )  # fmt: skip
    return frame.select(pl.col(name).cast(kind) for name, kind in LEDGER.items())


def _stage(folder: Path, frame: pl.DataFrame, column: str | None, partition: str) -> StagedFile:
    """Write a file as `lake.stage` does, without hashing its rows one by one."""
    place = f"{column}={partition}" if column else "data"
    (folder / place).mkdir(parents=True, exist_ok=True)
    path = folder / place / f"part-{len(list((folder / place).iterdir())):05d}.parquet"
    body = frame.drop(column) if column and column in frame.columns else frame
    body.write_parquet(path, compression="zstd", statistics=True, row_group_size=_ROW_GROUP)
    content = ContentHash(frame.height, frame.height)
    return StagedFile(
        str(path.relative_to(folder)), frame.height, path.stat().st_size, content, partition if column else ""
    )
