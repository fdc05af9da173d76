"""What is compared with what: each bench returns rows for the table, and remarks that are no race."""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from bench.harness import (
    ROOT,
    Contestant,
    Measurement,
    MeasurementError,
    Result,
    measure,
    memory,
    rate,
    run_once,
    share,
    throughput,
)

LANGUAGES: Final = ("en", "zh")
LOCK: Final = ROOT / "bench" / "requirements-peers.lock"
DEDUP_GROUP: Final = "general"
BARE_MODELS: Final = "bare fastText + kenlm.Model.score calls"
KENLM_BINDING: Final = "kenlm.Model.score"
ORDERED_DOCUMENTS: Final = 21_000_000  # about ten million sequences of 2,048 tokens
TRACED_DOCUMENTS: Final = 100_000_000
MIXED_DOCUMENTS: Final = 10_000_000
LEDGER_ROWS: Final = 100_000_000
AUDITED_DELIVERIES: Final = 100
ALIKE: Final = 0.005  # two samples' shares of the tokens
QUICK_DOCUMENTS: Final = 1_000_000
BARE_TOKENIZERS: Final = "bare tokenizers, nothing written"
BARE_FASTOKENS: Final = "bare fastokens, nothing written"
C_LOOPS: Final = "C loops (gcc -O3)"


@dataclass(frozen=True)
class Setting:
    """How a bench is run: over which documents, how often, under which interpreters."""

    documents: Path
    reference: Path
    home: Path
    languages: tuple[str, ...]
    folder: Path  # lists and models that the peers read
    peers_python: Path
    runs: int
    timeout_s: float


@dataclass(frozen=True)
class Outcome:
    """The rows of one bench, and what else was seen: largest differences, shares kept."""

    results: list[Result]
    remarks: list[str]


Bench = Callable[[Setting], Outcome]


def text_rules(setting: Setting) -> Outcome:
    """Compare text rules of the funnel with Data-Juicer's operators and datatrove's Gopher filters."""
    _write_word_lists(setting.folder)
    results, remarks = [], []
    for lang in setting.languages:
        params = _params(setting, lang) | {
            "lists": str(setting.folder / "lists"),
            "models": str(setting.folder / "models"),
            **_rule_parameters(),
        }
        if lang == "zh":
            run_once(
                peer_program(setting, "sentencepiece", "sentencepiece_model"),
                params,
                timeout_s=setting.timeout_s,
            )
        contestants = [
            our_program("text_rules"),
            peer_program(setting, "py-data-juicer", "data_juicer"),
            peer_program(setting, "datatrove", "datatrove"),
        ]
        ours, data_juicer, datatrove = measure(
            contestants, params, runs=setting.runs, timeout_s=setting.timeout_s
        )
        for contestant, theirs in zip(contestants[1:], (data_juicer, datatrove), strict=True):
            results.append(throughput("text_rules", f"text rules, {lang}", contestant.name, ours, theirs))
            remarks.append(
                f"text rules, {lang}: {contestant.name} keeps {theirs.report['kept']:.1%} of the documents"
            )
        remarks += _differences(lang, contestants[1].name, ours, data_juicer)
    return Outcome(results, remarks)


def kernels(setting: Setting) -> Outcome:
    """Compare the hot kernels of the text rules with C loops of the same algorithms; the values must be equal."""
    from bench.ours.kernels import KERNELS

    contestants = [our_program("kernels"), replace(our_program("kernels_c"), name=C_LOOPS)]
    results = []
    for lang in setting.languages:
        for kernel in KERNELS:
            params = _params(setting, lang) | {"kernel": kernel}
            ours, loops = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
            if ours.report["values"] != loops.report["values"]:
                raise MeasurementError(
                    f"{kernel}, {lang}: the C loops have other values; do the same in both"
                )
            results.append(throughput("kernels", f"{kernel}, {lang}", C_LOOPS, ours, loops))
    return Outcome(results, [])


def filtered_stage(setting: Setting) -> Outcome:
    """Compare the whole filtered stage, models and ledger included, with the same filters of other tools."""
    models = _models(setting)
    results, remarks = [], []
    for lang in setting.languages:
        contestants = [
            our_program("filtered_stage"),
            peer_program(setting, "py-data-juicer", "data_juicer_stage"),
            peer_program(setting, "datatrove", "datatrove_stage"),
        ]
        params = (
            _params(setting, lang)
            | models
            | {
                "lists": str(setting.folder / "lists"),
                "models": str(setting.folder / "peer_models"),
                **_rule_parameters(),
            }
        )
        _write_word_lists(setting.folder)
        ours, *others = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
        subject = f"filtered stage, {lang}"
        for contestant, theirs in zip(contestants[1:], others, strict=True):
            results.append(throughput("filtered_stage", subject, contestant.name, ours, theirs))
        kept = ", ".join(
            f"{contestant.name} {measured.report['kept']:.1%}"
            for contestant, measured in zip(contestants, (ours, *others), strict=True)
        )
        remarks.append(f"{subject}: documents kept: {kept}")
    return Outcome(results, remarks)


def funnel(setting: Setting) -> Outcome:
    """Compare the whole funnel with bare calls of fastText and KenLM's binding for what it reads; and scores alone."""
    models = _models(setting)
    results, remarks = [], []
    for lang in setting.languages:
        contestants = [
            our_program("nine_rules"),
            our_program("funnel"),
            replace(our_program("funnel_models"), name=BARE_MODELS),
        ]
        params = _params(setting, lang) | models
        *both, bare = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
        for name, ours in zip(("nine rules", "nine rules and safety labels"), both, strict=True):
            results.append(throughput("funnel", f"{name}, {lang}", BARE_MODELS, ours, bare))
            remarks.append(
                f"{name}, {lang}: {ours.cpu_s / bare.cpu_s:.2f} times the cost of the models' "
                f"{bare.report['calls']} calls; keeps {ours.report['kept']:.1%}"
            )
        scorers = [
            our_program("line_scores"),
            replace(our_program("line_scores_binding"), name=KENLM_BINDING),
        ]
        ours, binding = measure(scorers, params, runs=setting.runs, timeout_s=setting.timeout_s)
        if ours.report != binding.report:
            raise MeasurementError(f"KenLM scores, {lang}: ours are not those of {KENLM_BINDING}")
        results.append(rate("funnel", f"KenLM scores, {lang}", KENLM_BINDING, "tokens", ours, binding))
    return Outcome(results, remarks)


def warc_to_text(setting: Setting) -> Outcome:
    """Compare the reading of WARC files, pages to main text, with warcio and trafilatura as datatrove uses them."""
    from bench.pages import build

    results = []
    for lang, files in build(setting.home / "cache" / "archives", setting.folder / "pages").items():
        contestants = [
            our_program("warc_to_text"),
            peer_program(setting, "trafilatura", "warcio_trafilatura", remark="with warcio"),
        ]
        params = {"warc": str(files.warc), "gold": str(files.gold), "lang": lang}
        ours, theirs = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
        subject = f"web pages, {lang}"
        results.append(throughput("warc_to_text", subject, contestants[1].name, ours, theirs))
        results.append(share("warc_to_text", subject, contestants[1].name, "token_f1", ours, theirs))
    return Outcome(results, [])


def order_plan(setting: Setting) -> Outcome:
    """Compare the data-order plan of ten million sequences with Megatron's indices of as many; measure one with options."""
    documents = QUICK_DOCUMENTS if setting.runs == 1 else ORDERED_DOCUMENTS
    params = {"documents": documents, "sequence_length": 2048, "global_batch": 2048, "seed": 1, "options": {}}
    contestants = [our_program("order_plan"), peer_program(setting, "megatron-core", "megatron_order")]
    ours, theirs = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
    if ours.report != theirs.report:
        raise MeasurementError(f"order_plan: ours {ours.report}, Megatron's {theirs.report}")
    name, subject = contestants[1].name, f"order of {ours.report['sequences']:,} sequences"
    results = [
        rate("order_plan", subject, name, "sequences", ours, theirs),
        memory("order_plan", subject, name, ours, theirs),
    ]
    options = {"whole": {"components": ["books"]}, "concentrate": {"components": ["small"]}}
    (asked,) = measure(
        contestants[:1], params | {"options": options}, runs=setting.runs, timeout_s=setting.timeout_s
    )
    remarks = [
        f"{subject}: {ours.wall_s:.1f} s, {name} {theirs.wall_s:.1f} s",
        f"with books whole and a small set concentrated: {asked.wall_s:.1f} s, {asked.peak_rss_mb:,.0f} MB",
    ]
    return Outcome(results, remarks)


def trace(setting: Setting) -> Outcome:
    """Compare the trace of a training step over a hundred million documents with a scan of the same index."""
    documents = QUICK_DOCUMENTS if setting.runs == 1 else TRACED_DOCUMENTS
    params = {
        "folder": str(setting.folder / "trace"),
        "documents": documents,
        "sequence_length": 2048,
        "global_batch": 2048,
        "step": 7,
    }
    contestants = [our_program("trace_step"), replace(our_program("trace_scan"), name="scan of the index")]
    ours, scan = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
    if ours.report != scan.report:
        raise MeasurementError(f"trace: the search finds {ours.report}, the scan {scan.report}")
    subject = f"a step's documents among {documents:,}"
    return Outcome(
        [rate("trace", subject, contestants[1].name, "spans", ours, scan)],
        [f"{subject}: {ours.wall_s:.2f} s for {ours.report['spans']:,} spans"],
    )


def mix(setting: Setting) -> Outcome:
    """Compare the selection of a mixture from the metadata of ten million documents with the same in plain Polars."""
    documents = QUICK_DOCUMENTS if setting.runs == 1 else MIXED_DOCUMENTS
    params = {"folder": str(setting.folder / "mix"), "documents": documents, "mixture": "v3"}
    contestants = [our_program("mix_selection"), replace(our_program("mix_frame"), name="Polars, one frame")]
    ours, frame = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
    mine, other = (measured.report["shares"] for measured in (ours, frame))
    if mine.keys() != other.keys() or any(abs(mine[part] - other[part]) > ALIKE for part in mine):
        raise MeasurementError(f"mix: ours gives the components {mine} of the tokens, the frame {other}")
    name, subject = contestants[1].name, f"mixture from {documents:,} documents"
    results = [throughput("mix", subject, name, ours, frame), memory("mix", subject, name, ours, frame)]
    return Outcome(results, [f"{subject}: {ours.wall_s:.1f} s, {name} {frame.wall_s:.1f} s"])


def tokenize(setting: Setting) -> Outcome:
    """Compare token shards, written, with the bare libraries, datatrove's tokenizer step and Megatron's preprocessing."""
    from bench.models import tokenizer

    setting.folder.mkdir(parents=True, exist_ok=True)
    path, eod = tokenizer(setting.home, setting.reference, setting.languages, setting.folder)
    megatron = peer_program(setting, "megatron-core", "megatron_tokens", remark="as preprocess_data.py")
    contestants = [
        our_program("tokenize_shards"),
        replace(our_program("tokenize_reference"), name=BARE_TOKENIZERS),
        replace(our_program("tokenize_fastokens"), name=BARE_FASTOKENS),
        peer_program(setting, "datatrove", "datatrove_tokens"),
        replace(megatron, interpreter=Path(sys.executable)),
    ]
    results = []
    for lang in setting.languages:
        params = _params(setting, lang) | {"tokenizer": str(path), "eod": eod}
        ours, *others = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
        for contestant, theirs in zip(contestants[1:], others, strict=True):
            if theirs.report["tokens"] != ours.report["tokens"]:
                raise MeasurementError(
                    f"{contestant.name}, {lang}: {theirs.report['tokens']} tokens, ours {ours.report['tokens']}"
                )
            results.append(rate("tokenize", f"token shards, {lang}", contestant.name, "tokens", ours, theirs))
    return Outcome(results, [])


def audit_queries(setting: Setting) -> Outcome:
    """Compare the audit of a document among a hundred million ledger rows with DuckDB's scan; and time all queries."""
    from bench.ledger_lake import ledger_lake

    rows = QUICK_DOCUMENTS if setting.runs == 1 else LEDGER_ROWS
    home = setting.folder / f"ledgers-{rows}"
    ledger_lake(home, rows, AUDITED_DELIVERIES)
    params = {"home": str(home)}
    contestants = [
        our_program("audit_document"),
        replace(our_program("ledger_scan"), name="DuckDB, all ledgers"),
    ]
    ours, scan = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
    if ours.report != scan.report:
        raise MeasurementError(f"audit_queries: ours finds {ours.report}, the scan {scan.report}")
    queries = run_once(our_program("audit_queries"), params, timeout_s=setting.timeout_s)
    subject = f"a document among {rows:,} ledger rows"
    times = ", ".join(
        f"{name} {cpu:.2f}/{wall:.2f}" for name, (cpu, wall) in queries["report"]["seconds"].items()
    )
    return Outcome(
        [throughput("audit_queries", subject, contestants[1].name, ours, scan)],
        [
            f"{subject}: {ours.cpu_s / ours.documents:.3f} CPU s",
            f"audits of {rows:,} ledger rows by a new process, CPU/wall s: {times}",
        ],
    )


BENCHES: Final[Mapping[str, Bench]] = {
    "warc_to_text": warc_to_text,
    "text_rules": text_rules,
    "kernels": kernels,
    "filtered_stage": filtered_stage,
    "funnel": funnel,
    "tokenize": tokenize,
    "order_plan": order_plan,
    "trace": trace,
    "mix": mix,
    "audit_queries": audit_queries,
}


@cache
def peer_version(package: str) -> str:
    """Return the version of a package in the peers' lock. Raises ValueError when it is not there."""
    found = re.search(
        rf"^{re.escape(package)}==(\S+)$", LOCK.read_text("utf-8"), re.MULTILINE | re.IGNORECASE
    )
    if found is None:
        raise ValueError(f"{LOCK}: no line for {package}; add `{package}==<version>`")
    return found.group(1)


def our_program(program: str) -> Contestant:
    return Contestant("phoenix", f"bench.ours.{program}", Path(sys.executable))


def peer_program(setting: Setting, package: str, program: str, *, remark: str = "") -> Contestant:
    name = f"{package} {peer_version(package)}" + (f" ({remark})" if remark else "")
    return Contestant(name, f"bench.peers.{program}", setting.peers_python)


def _params(setting: Setting, lang: str) -> dict[str, Any]:
    return {"documents": str(setting.documents), "lang": lang}


def _models(setting: Setting) -> dict[str, Any]:
    """Return where the models are: fastText's as `lid`, KenLM's by language as `kenlm`."""
    from bench.models import language_identification, perplexity_models

    folder = setting.folder / "models"
    kenlm = perplexity_models(setting.home, setting.reference, setting.languages, folder)
    return {
        "lid": str(language_identification(setting.home)),
        "kenlm": {lang: str(path) for lang, path in kenlm.items()},
    }


def _rule_parameters() -> dict[str, Any]:
    from phoenix_assets.clean.profiles import load_profile

    parameters = load_profile("default").parameters
    return {"char_ngram": parameters.character_ngram, "word_ngram": parameters.word_ngram}


def signature_parameters() -> dict[str, Any]:
    """Return the parameters of the product's signatures and banding, for both sides. Raises ValueError."""
    from phoenix_assets.config import config_dir, load
    from phoenix_assets.dedup.config import DedupConfig

    config = load(DedupConfig, config_dir() / "dedup.yaml")
    group, shingle = config.groups[DEDUP_GROUP], config.signature.shingle
    if shingle.words != shingle.characters:
        raise ValueError("the benchmark's shingles have one length: set shingle.words = shingle.characters")
    return {
        "permutations": config.signature.permutations,
        "seed": config.signature.seed,
        "shingle": shingle.words,
        "bands": group.bands,
        "rows": group.rows,
        "threshold": group.threshold,
    }


def _write_word_lists(folder: Path) -> None:
    """Write our stop words and flagged words where and how Data-Juicer reads them."""
    import json

    from phoenix_assets.clean import wordlists

    lists = folder / "lists"
    lists.mkdir(parents=True, exist_ok=True)
    for name, words in (("stopwords", wordlists.stopwords()), ("flagged_words", wordlists.flagged_words())):
        content = {lang: sorted(words[lang]) for lang in LANGUAGES}
        (lists / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _differences(lang: str, peer: str, ours: Measurement, theirs: Measurement) -> list[str]:
    """Compare values document by document; a value is null where Data-Juicer's definition is another one."""
    remarks = []
    for name, values in theirs.report["values"].items():
        pairs = zip(ours.report["values"][name], values, strict=True)
        differences = [abs(mine - other) for mine, other in pairs if other is not None]
        if differences:
            remarks.append(
                f"{name}, {lang}: largest difference to {peer} {max(differences):.3g} "
                f"in the {len(differences)} of {len(values)} documents where both definitions count the same"
            )
    return remarks
