"""`models/tokenizer` and `tokens/<version>`: a mixture's documents as Megatron shards, with their trace index."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from phoenix_assets.config import config_dir, load
from phoenix_assets.lineage import InputVersion, SideTable
from phoenix_assets.tokens.config import TokenizerConfig, TokensConfig
from resources.build import Build
from resources.declare import Automation, declared
from resources.lake import FILES
from resources.phoenix import Phoenix
from resources.report import materialized

TOKENIZER = "models/tokenizer"
TOKENIZER_FILE = "tokenizer.json"
_TEXT = ("doc_id", "source", "delivery", "lang", "text")


def tokens_key(version: str) -> str:
    """Return the asset path of a mixture version's tokens."""
    return f"tokens/{version}"


def load_tokenizer_config() -> TokenizerConfig:
    """Return `config/tokenizer.yaml`."""
    return load(TokenizerConfig, config_dir() / "tokenizer.yaml")


def tokenizer_assets() -> list[dg.AssetsDefinition]:
    """Return the tokenizer's asset."""
    settings = load_tokenizer_config()
    config = {"tokenizer": settings.model_dump(mode="json")}
    mixture = f"mix/{settings.mixture}"

    @dg.asset(
        **declared(
            TOKENIZER,
            room="tokens",
            kernels=("phoenix_assets.tokens.bpe", "phoenix_assets.draw"),
            config=config,
            deps=[mixture],
            automation=Automation.WHEN_MISSING,
            kinds=("huggingface",),
            description=f"A byte-level BPE tokenizer of {settings.vocab_size} tokens, trained on {mixture}.",
        )
    )
    def tokenizer(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.tokens.bpe import sample_training_texts, train_bpe

        build = phoenix.start(context, config=config, same=[mixture])
        build.inputs = (*build.inputs, *tagged_inputs(build, mixture))
        texts = sample_training_texts(_texts(build, mixture, "train"), settings)
        with phoenix.lake.scratch() as folder:
            (Path(folder) / TOKENIZER_FILE).write_bytes(train_bpe(texts, settings))
            return materialized(build.commit_files(Path(folder)))

    return [tokenizer]


def tokens_assets(versions: list[str]) -> list[dg.AssetsDefinition]:
    """Return the tokens of each mixture version."""
    return [_tokens(version) for version in versions]


def _tokens(version: str) -> dg.AssetsDefinition:
    settings = load(TokensConfig, config_dir() / "tokens.yaml")
    eod = load_tokenizer_config().eod
    config = {"tokens": settings.model_dump(mode="json"), "eod": eod}
    mixture = f"mix/{version}"

    @dg.asset(
        **declared(
            tokens_key(version),
            room="tokens",
            kernels=tuple(
                f"phoenix_assets.{name}" for name in ("tokens.shards", "tokens.bpe", "tokens.indexed", "draw")
            ),
            config=config,
            deps=[mixture, TOKENIZER],
            kinds=("deltalake", "megatron"),
            description=f"Mixture {version} as Megatron .bin/.idx shards, and where each document's tokens stand.",
        )
    )
    def tokens(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.tokens.fertility import fertility
        from phoenix_assets.tokens.shards import TRACE, write_shards

        build = phoenix.start(context, config=config, same=[mixture, TOKENIZER])
        build.inputs = (*build.inputs, *tagged_inputs(build, mixture))
        tokenizer = build.file(TOKENIZER, TOKENIZER_FILE)
        with phoenix.lake.scratch() as folder:
            traces = [
                write_shards(_texts(build, mixture, split), tokenizer, Path(folder), split, eod, settings)
                for split in ("train", "validation")
            ]
            files = build.lake.store_files(build.side_asset(SideTable.FILES), Path(folder))
        trace = pl.concat(traces)
        shards = build.commit_side(SideTable.FILES, FILES, [build.stage_side(SideTable.FILES, files)])
        staged = build.stage(trace)
        stored = build.commit(
            TRACE,
            [staged],
            counts={
                "rows_out": trace.height,
                "tokens": int(trace["tokens"].sum()),
                "bytes": int(files["bytes"].sum()),
            },
            side_tables={SideTable.FILES: shards},
            data_version=f"{staged.content.data_version[:20]}{shards.data_version[:20]}",
        )
        per_language = fertility(trace["lang"], trace["chars"], trace["tokens"] - 1)
        return materialized(stored, sample=per_language, pictures=_pictures(version, trace))

    return tokens


def _texts(build: Build, mixture: str, split: str) -> Iterator[pl.DataFrame]:
    """Yield the documents of a split with their text, shard by shard of exactly what the mixture read."""
    selection = build.read(mixture).filter(pl.col("split") == split).select("doc_id", "copies").collect()
    for source in tagged_inputs(build, mixture):
        for shard in build.lake.shards(source):
            frame = shard.read().select(_TEXT).join(selection, on="doc_id", maintain_order="left")
            if frame.height:
                yield frame


def tagged_inputs(build: Build, mixture: str) -> list[InputVersion]:
    """Return the tagged partitions that the mixture was made from, exactly as it read them."""
    record = build.ledger.record_of(build.input(mixture)).record
    return [source for source in record.inputs if source.asset.endswith("/tagged")]


def _pictures(version: str, trace: pl.DataFrame) -> dict[str, bytes]:
    from phoenix_assets.figures import bars

    sums = trace.group_by("source").agg(pl.col("tokens").sum()).sort("tokens", descending=True)
    return {
        "tokens": bars(dict(sums.iter_rows()), title=f"tokens/{version}: tokens by source", unit="tokens")
    }
