"""The proxies of a mixture search: their data out of a mixture's tokens, and their jobs."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from phoenix_assets.config import digest
from phoenix_assets.lineage import InputVersion
from phoenix_assets.search.config import Search, proxy_job
from phoenix_assets.search.losses import mean_losses
from phoenix_assets.search.sampling import apportion
from phoenix_assets.search.sequences import Mixed, Strand, mix_sequences, strands
from phoenix_assets.tokens.config import TOKENIZER, model_key
from phoenix_assets.tokens.trace import TraceIndex
from phoenix_assets.train.config import load_sizes
from phoenix_assets.versions import code_version
from resources.build import Build
from resources.token_inputs import trace_index
from resources.training import TRAINER, follow, token_data
from training_jobs.data_order import HEADER_FILE
from training_jobs.indexed_tokens import IndexedTokens
from training_jobs.job import GroupDro
from training_jobs.launcher import JobHandle, adopt_or_launch

DOMAINS_FILE = "domains.npy"
_TOKENIZER = model_key(TOKENIZER)


def tokens_by_component(build: Build, tokens: InputVersion) -> dict[str, int]:
    """Return the training tokens of each component in a mixture's tokens, in name order."""
    trace = trace_index(build, tokens, "train")
    sums = np.bincount(trace.codes(), weights=trace.lengths(), minlength=trace.origins.height)
    counted = trace.origins.select("component", tokens=pl.Series(sums).cast(pl.Int64))
    return dict(counted.group_by("component").sum().sort("component").iter_rows())


def estimates_per_token(build: Build, mixture: str) -> dict[str, float]:
    """Return the tokens that a mixture estimates of each part over those that there are; adds the mixture to the inputs."""
    tokens = build.input(f"tokens/{mixture}")
    made_from = build.ledger.record_of(tokens).record.inputs
    build.inputs = (*build.inputs, *(source for source in made_from if source.asset == f"mix/{mixture}"))
    counted = tokens_by_component(build, tokens)
    estimated = (
        build.read(f"mix/{mixture}")
        .filter(split="train")
        .group_by("component")
        .agg((pl.col("est_tokens") * pl.col("copies")).sum())
        .collect()
    )
    return {part: value / counted[part] for part, value in estimated.iter_rows() if counted.get(part)}


class Proxies:
    """Trains the proxies of one search, each at most once: what has been trained is found by what it learned."""

    def __init__(
        self, context: dg.AssetExecutionContext, build: Build, home: Path, name: str, search: Search
    ) -> None:
        self._context, self._build, self._home = context, build, home
        self._name, self._search = name, search
        self._tokens = build.input(f"tokens/{search.mixture}")
        self._train = trace_index(build, self._tokens, "train")

    def of_mixture(self, weights: Mapping[str, float]) -> JobHandle:
        """Return the finished proxy of a mixture, given by its components' shares of the training tokens."""
        shares = np.array([weights[name] for name in self._strands])
        return self._trained(self._mixed(list(self._strands.values()), shares), None)

    def of_reweighting(self, reference: JobHandle) -> JobHandle:
        """Return the finished proxy that learned the weights of the search's components beside a reference."""
        search = self._search
        mixed = self._mixed(
            [self._strands[name] for name in search.components], np.ones(len(search.components))
        )
        settings = GroupDro(
            reference=reference.final_checkpoint().directory.relative_to(self._home.resolve()),
            domains=self._folder(mixed).relative_to(self._home) / DOMAINS_FILE,
            count=len(search.components),
            **search.reweighting.model_dump(),
        )
        return self._trained(mixed, settings)

    def losses(self, handle: JobHandle) -> pl.DataFrame:
        """Return (component, lang, sequences, loss) of a finished proxy on the validation documents."""
        model = handle.final_checkpoint().directory
        trace, mixed, kinds = self._validation
        found = mean_losses(
            model, IndexedTokens(trace.prefixes), mixed, self._search.proxy.hardware.micro_batch_size
        )
        served = np.bincount(mixed.kinds[mixed.plan.places.astype(np.int64)], minlength=kinds.height)
        return kinds.with_columns(
            sequences=pl.Series(served),
            loss=pl.Series([found.get(kind) for kind in range(kinds.height)], dtype=pl.Float64),
        ).drop_nulls("loss")

    def _trained(self, mixed: Mixed, group_dro: GroupDro | None) -> JobHandle:
        build, proxy = self._build, self._search.proxy
        shape = load_sizes()[proxy.size]
        trained = proxy.model_dump(mode="json", exclude={"validation_sequences"})
        learned = {"proxy": trained, "size": shape.model_dump(mode="json")}
        dro = None if group_dro is None else group_dro.model_dump(mode="json")
        inputs = (self._tokens.data_version, build.input(_TOKENIZER).data_version)
        kernels = TRAINER if group_dro is None else (*TRAINER, "training_jobs.group_dro")
        fingerprint = digest(code_version(kernels, learned), *inputs, mixed.plan.header.fingerprint, dro)
        data, vocab_size = token_data(
            build, self._tokens.asset, _TOKENIZER, self._home, order=self._folder(mixed)
        )
        job = proxy_job(
            self._name,
            proxy,
            shape,
            vocab_size=vocab_size,
            data=data,
            fingerprint=fingerprint,
            base=self._home,
            threads=len(os.sched_getaffinity(0)),
            group_dro=group_dro,
        )
        handle = adopt_or_launch(job, self._home / "jobs")
        follow(self._context, handle, observations=1)
        return handle

    def _folder(self, mixed: Mixed) -> Path:
        """Return the folder of a plan, written if it is not there yet: jobs map its files."""
        folder = self._home / "proxy-plans" / mixed.plan.header.fingerprint[:32]
        if not (folder / HEADER_FILE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / DOMAINS_FILE, mixed.kinds, allow_pickle=False)
            mixed.plan.save(folder)
        return folder

    def _mixed(self, sources: list[Strand], shares: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> Mixed:
        proxy = self._search.proxy
        return mix_sequences(
            sources,
            apportion(shares, proxy.steps * proxy.batch.sequences),
            sequence_length=proxy.batch.sequence_length,
            global_batch=proxy.batch.sequences,
            data_tokens=self._train.tokens,
            seed=proxy.seed,
        )

    @cached_property
    def _strands(self) -> dict[str, Strand]:
        """The training documents of each component: as many as a proxy of nothing else would need."""
        proxy, origins = self._search.proxy, self._train.origins["component"]
        names = sorted(set(origins))
        kinds = np.array([names.index(name) for name in origins])[self._train.codes()]
        wanted = (proxy.steps * proxy.batch.sequences + 1) * proxy.batch.sequence_length
        return dict(zip(names, strands(self._train.lengths(), kinds, len(names), wanted), strict=True))

    @cached_property
    def _validation(self) -> tuple[TraceIndex, Mixed, pl.DataFrame]:
        """The validation sequences of each component and language, as many as there are and are asked for."""
        proxy = self._search.proxy
        length, trace = proxy.batch.sequence_length, trace_index(self._build, self._tokens, "validation")
        kinds = trace.origins.select("component", "lang").unique().sort("component", "lang")
        number = trace.origins.join(
            kinds.with_row_index("kind"), on=["component", "lang"], nulls_equal=True, maintain_order="left"
        )
        wanted = (proxy.validation_sequences + 1) * length
        of_documents = number["kind"].to_numpy().astype(np.int64)[trace.codes()]
        sources = strands(trace.lengths(), of_documents, kinds.height, wanted)
        counts = np.array([min(source.tokens // length, proxy.validation_sequences) for source in sources])
        mixed = mix_sequences(
            sources, counts, sequence_length=length, global_batch=1, data_tokens=trace.tokens, seed=proxy.seed
        )
        return trace, mixed, kinds
