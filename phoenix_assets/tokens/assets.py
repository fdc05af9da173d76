"""`models/tokenizer` and its extensions; `tokens/<version>`: a mixture as Megatron shards with their trace index.

By an extended tokenizer they are `tokens/<version>.<tokenizer>`, made when a person asks, as the runs that need them are.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import dagster as dg
import polars as pl

from phoenix_assets.config import config_dir, load
from phoenix_assets.lineage import SideTable
from phoenix_assets.tokens.checks import SAME_IDS, loaders_agree
from phoenix_assets.tokens.config import (
    TOKENIZER,
    ExtensionConfig,
    TokenizerConfig,
    TokensConfig,
    load_extensions,
    model_key,
    tokens_key,
)
from resources.build import Build
from resources.declare import Automation, declared, one_partition
from resources.lake import FILES, Shard
from resources.phoenix import Phoenix
from resources.report import materialized
from resources.token_inputs import tagged_inputs

TOKENIZER_FILE = "tokenizer.json"
SPLITS = ("train", "validation")
SHARDS = pl.Schema({"split": pl.String, "shard": pl.Int32, "documents": pl.Int64, "tokens": pl.Int64})
_TEXT = ("doc_id", "source", "delivery", "lang", "text")


def load_tokenizer_config() -> TokenizerConfig:
    """Return `config/tokenizer.yaml`."""
    return load(TokenizerConfig, config_dir() / "tokenizer.yaml")


def tokenizer_assets() -> list[dg.AssetsDefinition]:
    """Return the tokenizer's asset, and those of its extensions."""
    return [_tokenizer(), *(_extension(name, extension) for name, extension in load_extensions().items())]


def _tokenizer() -> dg.AssetsDefinition:
    settings = load_tokenizer_config()
    config = {"tokenizer": settings.model_dump(mode="json")}
    mixture = f"mix/{settings.mixture}"
    trained = f"A byte-level BPE tokenizer of {settings.vocab_size} tokens, trained on {mixture}."

    @dg.asset(
        **declared(
            model_key(TOKENIZER),
            room="tokens",
            kernels=(
                "phoenix_assets.draw",
                f"phoenix_assets.tokens.{'delivered' if settings.pretrained else 'bpe'}",
            ),
            config=config,
            deps=[mixture],
            automation=Automation.WHEN_MISSING,
            kinds=("huggingface",),
            description=f"The tokenizer {settings.pretrained.location}." if settings.pretrained else trained,
        )
        | {"check_specs": [_same_ids(TOKENIZER)]}
    )
    def tokenizer(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.tokens.bpe import sample_training_texts, train_bpe
        from phoenix_assets.tokens.delivered import take_tokenizer

        build = phoenix.start(context, config=config, same=[mixture])
        build.inputs = (*build.inputs, *tagged_inputs(build, mixture))
        texts = sample_training_texts(
            _texts(build, mixture, "train"), settings.bytes_per_language, settings.seed
        )
        with phoenix.lake.scratch() as name:
            folder = Path(name)
            if settings.pretrained:
                take_tokenizer(settings.pretrained, settings.eod, folder)
            else:
                (folder / TOKENIZER_FILE).write_bytes(train_bpe(texts, settings))
            agreed = loaders_agree(context.asset_key, folder, settings, texts)
            return materialized(build.commit_files(folder), checks=[agreed])

    return tokenizer


def _extension(name: str, settings: ExtensionConfig) -> dg.AssetsDefinition:
    tokenizer_settings = load_tokenizer_config()
    eod = tokenizer_settings.eod
    config = {"extension": settings.model_dump(mode="json"), "eod": eod}
    mixture = f"mix/{settings.mixture}"
    checkpoint = settings.checkpoint
    parent = model_key(TOKENIZER) if checkpoint is None else checkpoint.asset
    dep = parent if checkpoint is None else one_partition(parent, checkpoint.partition)

    @dg.asset(
        **declared(
            model_key(name),
            room="tokens",
            kernels=(
                "phoenix_assets.draw",
                "phoenix_assets.tokens.extension",
                "phoenix_assets.tokens.embeddings",
                "training_jobs.added_tokens",
            ),
            config=config,
            deps=[mixture, dep],
            automation=Automation.WHEN_MISSING,
            kinds=("huggingface",),
            description=f"The tokenizer of {parent} with more tokens, chosen on {mixture}; its embeddings with it.",
        )
        | {"check_specs": [_same_ids(name)]}
    )
    def extension(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.tokens.bpe import sample_training_texts
        from phoenix_assets.tokens.extension import extend_tokenizer, saved_tokens, write_extension

        read = phoenix.ledger.resolve(parent, "" if checkpoint is None else checkpoint.partition)
        build = phoenix.start(context, config=config, same=[mixture], inputs=[read])
        build.inputs = (*build.inputs, *tagged_inputs(build, mixture))
        texts = sample_training_texts(
            (
                batch.filter(pl.col("lang").is_in(settings.languages)) if settings.languages else batch
                for batch in _texts(build, mixture, "train")
            ),
            settings.bytes_per_language,
            settings.seed,
        )
        tokenizer = build.file(parent, TOKENIZER_FILE)
        made = extend_tokenizer(tokenizer, texts, settings)
        with phoenix.lake.scratch() as folder:
            write_extension(made, Path(folder), eod, None if checkpoint is None else tokenizer.parent)
            agreed = loaders_agree(context.asset_key, Path(folder), tokenizer_settings, texts)
            stored = build.commit_files(
                Path(folder), counts=saved_tokens(texts, tokenizer, made.tokenizer_json)
            )
        return materialized(stored, sample=made.rows, checks=[agreed])

    return extension


def _same_ids(tokenizer: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(SAME_IDS, asset=dg.AssetKey(["models", tokenizer]), blocking=True)


def tokens_assets(
    versions: Mapping[str, Automation], extended: Iterable[tuple[str, str]]
) -> list[dg.AssetsDefinition]:
    """Return the tokens of each mixture version, made when the version itself is, and of `extended` pairs with a tokenizer."""
    return [
        *(_tokens(version, TOKENIZER, automation) for version, automation in versions.items()),
        *(_tokens(version, tokenizer, versions[version].asked()) for version, tokenizer in extended),
    ]


def _tokens(version: str, tokenizer: str, automation: Automation) -> dg.AssetsDefinition:
    settings = load(TokensConfig, config_dir() / "tokens.yaml")
    eod = load_tokenizer_config().eod
    config = {"tokens": settings.model_dump(mode="json"), "eod": eod}
    mixture, model = f"mix/{version}", model_key(tokenizer)
    key = tokens_key(version, tokenizer)

    @dg.asset(
        **declared(
            key,
            room="tokens",
            kernels=tuple(
                f"phoenix_assets.{name}"
                for name in (
                    "tokens.shards",
                    "tokens.spool",
                    "tokens.trace",
                    "tokens.encoding",
                    "tokens.indexed",
                    "draw",
                )
            ),
            config=config,
            deps=[mixture, model],
            automation=automation,
            kinds=("deltalake", "megatron"),
            description=f"Mixture {version} as Megatron .bin/.idx shards, and where each document's tokens stand.",
        )
    )
    def tokens(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.tokens.encoding import number_format
        from phoenix_assets.tokens.fertility import fertility
        from phoenix_assets.tokens.shards import WRITTEN, gather_shards
        from phoenix_assets.tokens.spool import SpoolWork

        build = phoenix.start(context, config=config, same=[mixture, model])
        build.inputs = (*build.inputs, *tagged_inputs(build, mixture))
        tokenizer_json = build.file(model, TOKENIZER_FILE)
        with phoenix.lake.scratch() as folder, phoenix.lake.scratch() as spools:
            work = SpoolWork(tokenizer_json, eod, settings, Path(spools))
            parts = list(phoenix.engine.map(work, _wanted(build, mixture, Path(spools))))
            written = [
                gather_shards(
                    (part[split] for part in parts if split in part),
                    number_format(tokenizer_json),
                    Path(folder),
                    split,
                    settings,
                )
                for split in SPLITS
            ]
            files = build.lake.store_files(build.side_asset(SideTable.FILES), Path(folder))
        documents = pl.concat([WRITTEN.to_frame(), *written])
        side = build.commit_side(SideTable.FILES, FILES, [build.stage_side(SideTable.FILES, files)])
        staged = build.stage(_shards(documents))
        stored = build.commit(
            SHARDS,
            [staged],
            counts={
                "rows_out": staged.rows,
                "documents": documents.height,
                "tokens": int(documents["tokens"].sum()),
                "bytes": int(files["bytes"].sum()),
                "trace_bytes": _trace_bytes(files),
            },
            side_tables={SideTable.FILES: side},
            data_version=f"{staged.content.data_version[:20]}{side.data_version[:20]}",
        )
        carried = fertility(documents)
        return materialized(stored, sample=carried, pictures=_pictures(key, documents, carried))

    return tokens


def _texts(build: Build, mixture: str, split: str) -> Iterator[pl.DataFrame]:
    """Yield the documents of a split with their text, shard by shard of exactly what the mixture read."""
    chosen = build.read(mixture).filter(pl.col("split") == split)
    selection = chosen.select("doc_id", "component", "copies").collect()
    for source in tagged_inputs(build, mixture):
        for shard in build.lake.shards(source):
            frame = shard.read().select(_TEXT).join(selection, on="doc_id", maintain_order="left")
            if frame.height:
                yield frame


def _wanted(build: Build, mixture: str, folder: Path) -> Iterator[tuple[Shard, Path]]:
    """Yield each shard of what the mixture read, and the file that names the documents wanted of its delivery."""
    chosen = build.read(mixture).filter(pl.col("split").is_in(SPLITS) & (pl.col("copies") > 0))
    by_delivery = chosen.collect().partition_by("source", "delivery", as_dict=True)
    for number, source in enumerate(tagged_inputs(build, mixture)):
        rows = by_delivery.get((source.asset.partition("/")[0], source.partition))
        if rows is None:
            continue
        selection = folder / f"wanted-{number}.parquet"
        rows.write_parquet(selection)
        yield from ((shard, selection) for shard in build.lake.shards(source))


def _shards(documents: pl.DataFrame) -> pl.DataFrame:
    """Return one SHARDS row a shard, in their order."""
    counted = documents.group_by("split", "shard", maintain_order=True)
    rows = counted.agg(documents=pl.len(), tokens=pl.col("tokens").sum())
    return rows.select(pl.col(name).cast(kind) for name, kind in SHARDS.items())


def _trace_bytes(files: pl.DataFrame) -> int:
    """Return the bytes of the trace index among the files of token shards."""
    index = files.filter(pl.col("path").str.contains(r"\.docs\.npy$|-origins\.parquet$"))
    return int(index["bytes"].sum())


def _pictures(key: str, documents: pl.DataFrame, carried: pl.DataFrame) -> dict[str, bytes]:
    from phoenix_assets.figures import bars

    sums = documents.group_by("source").agg(pl.col("tokens").sum()).sort("tokens", descending=True)
    named = carried.drop_nulls("chars_per_token").with_columns(pl.concat_str("by", "name", separator=" "))
    return {
        "tokens_by_source": bars(dict(sums.iter_rows()), title=f"{key}: tokens by source", unit="tokens"),
        "fertility": bars(
            dict(named.select("by", "chars_per_token").iter_rows()),
            title=f"{key}: characters a token carries",
            unit="characters per token",
        ),
    }
