"""`eval/<experiment>` scores every checkpoint on held-out documents; `leaderboard` compares the runs."""

import dagster as dg
import polars as pl

from phoenix_assets.config import config_dir, load
from phoenix_assets.evaluate.checks import HELD_OUT, held_out_is_excluded
from phoenix_assets.evaluate.config import EvaluationConfig
from phoenix_assets.lineage import InputVersion
from phoenix_assets.mix.config import load_mixtures
from phoenix_assets.train.config import Experiment, load_experiments
from resources.build import Build
from resources.declare import checkpoints, declared
from resources.phoenix import Phoenix
from resources.report import materialized

CHECKPOINT_COLUMN = "checkpoint"
LEADERBOARD = "leaderboard"
_WHOLE_LANGUAGE = pl.col("source") == "all"


def eval_key(experiment: str) -> str:
    """Return the asset path of an experiment's evaluations."""
    return f"eval/{experiment}"


def evaluate_assets() -> list[dg.AssetsDefinition]:
    """Return the evaluations of every experiment, and the leaderboard over them."""
    experiments = load_experiments()
    return [
        *(_evaluation(name, experiment) for name, experiment in experiments.items()),
        _leaderboard(experiments),
    ]


def _evaluation(name: str, experiment: Experiment) -> dg.AssetsDefinition:
    settings = load(EvaluationConfig, config_dir() / "evaluation.yaml")
    config = {"evaluation": settings.model_dump(mode="json")}
    checkpoint, mixture = f"checkpoints/{name}", f"mix/{experiment.mixture}"
    sources = load_mixtures()[experiment.mixture].sources

    @dg.asset(
        **declared(
            eval_key(name),
            room="evaluate",
            kernels=("phoenix_assets.evaluate.recall",),
            config=config,
            deps=[checkpoint],
            partitions=checkpoints(name),
            kinds=("pytorch",),
            description=f"Recall, bits per character and perplexity of {name} on held-out documents of {mixture}.",
        )
        | {"check_specs": [dg.AssetCheckSpec(HELD_OUT, asset=dg.AssetKey(eval_key(name).split("/")))]}
    )
    def evaluation(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.evaluate.recall import evaluate
        from resources.audit_summary import audit_summary

        build = phoenix.start(context, config=config, same=[checkpoint], partitioned_by=CHECKPOINT_COLUMN)
        read = _corpus_behind(build, checkpoint)
        build.inputs = (*build.inputs, *read)
        held_out = build.read(mixture).filter(pl.col("split") == "heldout").select("doc_id")
        documents = build.read_all([f"{source}/tagged" for source in sources]).join(held_out, on="doc_id")
        model = build.file(checkpoint, "model.safetensors").parent
        scores = evaluate(
            model,
            model / "tokenizer.json",
            documents.select("doc_id", "lang", "source", "text").collect(),
            settings,
        )
        step = int(build.partition.removeprefix("step-"))
        tokens_seen = build.ledger.record_of(build.input(checkpoint)).record.counts["tokens_seen"]
        rows = scores.with_columns(step=pl.lit(step), tokens_seen=pl.lit(tokens_seen))
        stored = build.commit_frame(rows)
        check = held_out_is_excluded(build, experiment.mixture, experiment.tokens)
        summary = {"audit": audit_summary(build.ledger, stored)}
        return materialized(stored, sample=rows, checks=[check], extra=summary)

    return evaluation


def _corpus_behind(build: Build, checkpoint: str) -> list[InputVersion]:
    """Return the tokens, the mixture and the tagged partitions behind a checkpoint, exactly as it was trained on them."""
    (train,) = build.ledger.record_of(build.input(checkpoint)).record.inputs
    (tokens,) = [
        source for source in build.ledger.record_of(train).record.inputs if source.asset.startswith("tokens/")
    ]
    corpus = build.ledger.record_of(tokens).record.inputs
    return [
        tokens,
        *(source for source in corpus if source.asset.startswith("mix/") or source.asset.endswith("/tagged")),
    ]


def _leaderboard(experiments: dict[str, Experiment]) -> dg.AssetsDefinition:
    parents = {name: experiment.compared_with for name, experiment in experiments.items()}
    tokenizers = {name: experiment.tokenizer for name, experiment in experiments.items()}
    config = {"parents": dict(parents), "tokenizers": dict(tokenizers)}
    evaluations = [eval_key(name) for name in experiments]

    @dg.asset(
        **declared(
            LEADERBOARD,
            room="evaluate",
            kernels=("phoenix_assets.evaluate.leaderboard",),
            config=config,
            deps=evaluations,
            description="Every run's newest checkpoint beside its parent's, and the curves over tokens.",
        )
    )
    def leaderboard(context: dg.AssetExecutionContext, phoenix: Phoenix) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from phoenix_assets.evaluate.leaderboard import curves, ranking
        from phoenix_assets.figures import lines

        build = phoenix.start(context, config=config, all_of=evaluations)
        scores = (
            pl.concat(
                [
                    build.read(source).with_columns(experiment=pl.lit(source.removeprefix("eval/")))
                    for source in sorted({version.asset for version in build.inputs})
                ]
            )
            .filter(_WHOLE_LANGUAGE)
            .collect()
        )
        table = ranking(scores, parents, tokenizers)
        stored = build.commit_frame(table)
        pictures = {
            metric: lines(series, title=f"{metric} over tokens", x="tokens", y=metric)
            for metric, series in curves(scores).items()
        }
        return materialized(stored, sample=table, pictures=pictures)

    return leaderboard
