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
    run_once,
    share,
    throughput,
)

LANGUAGES: Final = ("en", "zh")
LOCK: Final = ROOT / "bench" / "requirements-peers.lock"
SIMILAR: Final = 0.8  # injected pairs at least this similar count for recall
DEDUP_GROUP: Final = "general"
BARE_MODELS: Final = "bare fastText + KenLM calls"
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
                _peer(setting, "sentencepiece", "sentencepiece_model"), params, timeout_s=setting.timeout_s
            )
        contestants = [
            _ours("text_rules"),
            _peer(setting, "py-data-juicer", "data_juicer"),
            _peer(setting, "datatrove", "datatrove"),
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


def minhash_dedup(setting: Setting) -> Outcome:
    """Compare near-duplicate clusters from texts with those of rensa and datasketch, same parameters."""
    results, remarks = [], []
    for lang in setting.languages:
        params = _params(setting, lang) | signature_parameters() | {"at_least": SIMILAR, "group": DEDUP_GROUP}
        contestants = [
            _ours("minhash_dedup"),
            _peer(setting, "rensa", "rensa_minhash"),
            _peer(setting, "datasketch", "datasketch_minhash"),
            _peer(setting, "datasketch", "datasketch_minhash_xxhash", remark="xxHash"),
        ]
        ours, *others = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
        for contestant, theirs in zip(contestants[1:], others, strict=True):
            subject = f"near duplicates, {lang}"
            results.append(throughput("minhash_dedup", subject, contestant.name, ours, theirs))
            results.append(share("minhash_dedup", subject, contestant.name, "recall", ours, theirs))
        kept = ", ".join(
            f"{contestant.name} {measured.report['kept']:.1%}"
            for contestant, measured in zip(contestants, (ours, *others), strict=True)
        )
        remarks.append(f"near duplicates, {lang}: documents left: {kept}")
    return Outcome(results, remarks)


def kernels(setting: Setting) -> Outcome:
    """Compare the hot kernels of the text rules with C loops of the same algorithms; the values must be equal."""
    from bench.ours.kernels import KERNELS

    contestants = [_ours("kernels"), replace(_ours("kernels_c"), name=C_LOOPS)]
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
            _ours("filtered_stage"),
            _peer(setting, "py-data-juicer", "data_juicer_stage"),
            _peer(setting, "datatrove", "datatrove_stage"),
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
    """Compare the whole funnel with nothing but the calls of fastText and KenLM that it makes."""
    models = _models(setting)
    results, remarks = [], []
    for lang in setting.languages:
        contestants = [
            _ours("nine_rules"),
            _ours("funnel"),
            replace(_ours("funnel_models"), name=BARE_MODELS),
        ]
        params = _params(setting, lang) | models
        *both, bare = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
        for name, ours in zip(("nine rules", "nine rules and safety labels"), both, strict=True):
            results.append(throughput("funnel", f"{name}, {lang}", BARE_MODELS, ours, bare))
            remarks.append(
                f"{name}, {lang}: {ours.cpu_s / bare.cpu_s:.2f} times the cost of the models' "
                f"{bare.report['calls']} calls; keeps {ours.report['kept']:.1%}"
            )
    return Outcome(results, remarks)


def warc_to_text(setting: Setting) -> Outcome:
    """Compare the reading of WARC files, pages to main text, with warcio and trafilatura as datatrove uses them."""
    from bench.pages import build

    results = []
    for lang, files in build(setting.home / "cache" / "archives", setting.folder / "pages").items():
        contestants = [
            _ours("warc_to_text"),
            _peer(setting, "trafilatura", "warcio_trafilatura", remark="with warcio"),
        ]
        params = {"warc": str(files.warc), "gold": str(files.gold), "lang": lang}
        ours, theirs = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
        subject = f"web pages, {lang}"
        results.append(throughput("warc_to_text", subject, contestants[1].name, ours, theirs))
        results.append(share("warc_to_text", subject, contestants[1].name, "token_f1", ours, theirs))
    return Outcome(results, [])


BENCHES: Final[Mapping[str, Bench]] = {
    "warc_to_text": warc_to_text,
    "text_rules": text_rules,
    "kernels": kernels,
    "filtered_stage": filtered_stage,
    "funnel": funnel,
    "minhash_dedup": minhash_dedup,
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


def _ours(program: str) -> Contestant:
    return Contestant("phoenix", f"bench.ours.{program}", Path(sys.executable))


def _peer(setting: Setting, package: str, program: str, *, remark: str = "") -> Contestant:
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
