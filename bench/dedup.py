"""The benches of deduplication: whole documents from texts to decisions, a few more of them, and paragraphs.

Every program works on one core. Recall: of the injected pairs with a similarity of `DUPLICATE` or more, the share of
which not both are kept. Precision: of the dropped documents, the share that is `ALIKE` or more to another one of its
cluster. Similarities are exact, and recomputed for whatever was dropped (`bench/truth.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bench import near_corpus
from bench.benches import (
    DEDUP_GROUP,
    Bench,
    Outcome,
    Setting,
    our_program,
    peer_program,
    signature_parameters,
)
from bench.documents import read, recall
from bench.harness import Contestant, Measurement, Result, measure, memory, rate, share, throughput
from bench.truth import Truth

DUPLICATE: Final = 0.85
ALIKE: Final = 0.7
SOURCE: Final = "cc"
PER_LANGUAGE: Final = 50_000
QUICK: Final = 1_500
ADDED: Final = 100  # the part of the corpus that is added: one in a hundred


def document_dedup(setting: Setting) -> Outcome:
    """Compare near-duplicates of many short documents, from texts, with other tools' at the same permutations and bands."""
    documents, results, remarks = str(_documents(setting)), [], []
    fast = [
        our_program("document_dedup"),
        peer_program(setting, "daft", "daft_minhash"),
        peer_program(setting, "gaoya", "gaoya_minhash"),
        peer_program(setting, "rensa", "rensa_minhash"),
    ]
    slow = [
        peer_program(setting, "datasketch", "datasketch_minhash"),
        peer_program(setting, "datasketch", "datasketch_minhash_xxhash", remark="xxHash"),
        peer_program(setting, "text-dedup", "text_dedup_minhash"),
        peer_program(setting, "datatrove", "datatrove_minhash"),
        peer_program(setting, "py-data-juicer", "data_juicer_minhash"),
    ]
    for lang in setting.languages:
        params = {
            "documents": documents,
            "lang": lang,
            "group": DEDUP_GROUP,
            "models": str(setting.folder / "models"),
        } | signature_parameters()
        measured = measure(fast, params, runs=setting.runs, timeout_s=setting.timeout_s)
        measured += measure(slow, params, runs=1, timeout_s=setting.timeout_s)
        truth = Truth(read(documents, lang), params["shingle"])
        ours, *others = (_judged(one, truth) for one in measured)
        subject = f"near duplicates of {ours.documents:,} documents, {lang}"
        for contestant, theirs in zip((*fast[1:], *slow), others, strict=True):
            results += _rows("document_dedup", subject, contestant, ours, theirs)
        for contestant, one in zip((*fast, *slow), (ours, *others), strict=True):
            remarks.append(
                f"{subject}: {contestant.name} drops {one.report['dropped']:,}, "
                f"{one.report['like_kept']:.2%} of them {ALIKE} or more like the one that is kept"
            )
    return Outcome(results, remarks)


def incremental_dedup(setting: Setting) -> Outcome:
    """Compare the addition of one document in a hundred with all at once, and all of them with a tenth."""
    documents = str(_documents(setting))
    quick = setting.runs == 1
    groups = (QUICK if quick else PER_LANGUAGE) * 2 // near_corpus.SHARD
    program = [our_program("incremental_dedup")]

    def cost(groups: int, added: int = 0) -> Measurement:
        params = {"documents": documents, "group": DEDUP_GROUP, "groups": groups, "added": added}
        [measured] = measure(program, params, runs=setting.runs, timeout_s=setting.timeout_s)
        return measured

    every, tenth, more = cost(groups), cost(max(1, groups // 10)), cost(groups, max(1, groups // ADDED))
    added = more.documents - every.documents
    addition = f"{added:,} documents after {every.documents:,}"
    larger, smaller = f"{every.documents:,} documents", f"{tenth.documents:,} documents"
    results = [
        Result(
            "incremental_dedup",
            addition,
            f"{every.documents:,} at once",
            "cpu_seconds",
            "s",
            more.cpu_s,
            every.cpu_s,
            every.cpu_s / more.cpu_s,
            setting.runs,
        ),
        rate("incremental_dedup", larger, smaller, "documents", every, tenth),
        memory("incremental_dedup", larger, smaller, every, tenth),
    ]
    return Outcome(results, [f"{addition}: {more.cpu_s / every.cpu_s:.1%} of the CPU time of all at once"])


def paragraph_dedup(setting: Setting) -> Outcome:
    """Compare the hashing of paragraphs with other tools'."""
    documents, results = str(_documents(setting)), []
    contestants = [
        our_program("paragraph_dedup"),
        peer_program(setting, "dolma", "dolma_paragraphs", remark="files in, files out"),
        peer_program(setting, "datatrove", "datatrove_paragraphs"),
    ]
    for lang in setting.languages:
        params = {
            "documents": documents,
            "lang": lang,
            "source": SOURCE,
            "folder": str(setting.folder / "paragraphs"),
        }
        ours, *others = measure(contestants, params, runs=setting.runs, timeout_s=setting.timeout_s)
        results += [
            rate("paragraph_dedup", f"paragraphs, {lang}", contestant.name, "megabytes", ours, theirs)
            for contestant, theirs in zip(contestants[1:], others, strict=True)
        ]
    return Outcome(results, [])


BENCHES: Final[Mapping[str, Bench]] = {
    "document_dedup": document_dedup,
    "incremental_dedup": incremental_dedup,
    "paragraph_dedup": paragraph_dedup,
}


def _documents(setting: Setting) -> Path:
    built = near_corpus.build(
        setting.home,
        setting.folder,
        per_language=QUICK if setting.runs == 1 else PER_LANGUAGE,
        shingle=signature_parameters()["shingle"],
    )
    return built.documents


def _judged(measured: Measurement, truth: Truth) -> Measurement:
    """Return the measurement with recall and precision of its labels in the place of them."""
    labels: Sequence[int] = measured.report["labels"]
    report: dict[str, Any] = {
        "documents": measured.documents,
        "dropped": sum(position != label for position, label in enumerate(labels)),
        "recall": recall(labels, truth.documents, at_least=DUPLICATE),
        "precision": truth.precision(labels, at_least=ALIKE),
        "like_kept": truth.like_kept(labels, at_least=ALIKE),
    }
    return replace(measured, report=report)


def _rows(
    bench: str, subject: str, contestant: Contestant, ours: Measurement, theirs: Measurement
) -> list[Result]:
    name = contestant.name
    return [
        throughput(bench, subject, name, ours, theirs),
        share(bench, subject, name, "recall", ours, theirs),
        share(bench, subject, name, "precision", ours, theirs),
        memory(bench, subject, name, ours, theirs),
    ]
