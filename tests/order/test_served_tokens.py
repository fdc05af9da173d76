"""The trace of training steps beside what NeMo's data loader really served: token for token, resumes and ranks included."""

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from phoenix_assets.audit.exposure import Run, served, steps_that_saw, tokens_seen
from phoenix_assets.order.config import DataOrder, OrderConfig
from phoenix_assets.order.plan import build_plan
from phoenix_assets.order.stream import Belonging, Corpus
from phoenix_assets.schema import document_id
from phoenix_assets.tokens.config import TokensConfig
from phoenix_assets.tokens.indexed import read_indexed
from phoenix_assets.tokens.shards import write_shards
from phoenix_assets.tokens.trace import TraceIndex
from training_jobs.data_order import open_plan
from training_jobs.job import Batch, Hardware, ModelSize, Optimizer, TokenData, TrainingJob

EOD = "<|endoftext|>"
STEPS, LENGTH, BATCH = 6, 16, 8
RECORD = """
import os, sys
from pathlib import Path
import numpy as np
from lightning.pytorch import Callback
from training_jobs.nemo_toolkit import train

STATE, SERVED, STOPS = Path(sys.argv[1]), Path(sys.argv[2]), [int(stop) for stop in sys.argv[3:]]

class Recorder(Callback):
    def __init__(self, stop):
        self.stop = stop

    def on_train_batch_start(self, trainer, model, batch, number):
        step = trainer.global_step + 1
        if step == self.stop:
            trainer.strategy.barrier()
            os._exit(9)
        arrays = {name: value.numpy() for name, value in batch.items()}
        np.savez(SERVED / f"{step:03d}-{trainer.global_rank}-{number:06d}-{self.stop:03d}.npz", **arrays)

if "STOP" in os.environ:  # a further rank, which the first one started
    train(STATE, [Recorder(int(os.environ["STOP"]))])
    sys.exit()
ended = []
for stop in STOPS:
    os.environ["STOP"] = str(stop)
    if not (child := os.fork()):  # what has been imported need not be imported again
        train(STATE, [Recorder(stop)])
        sys.exit()
    ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(*ended)
"""


@pytest.fixture(scope="module")
def corpus(
    texts: pl.Series,
    tokenizer_json: bytes,
    tokens_config: TokensConfig,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Shards, trace index and an order with everything in it: passes, books kept whole, a small set concentrated."""
    folder = tmp_path_factory.mktemp("served")
    count = len(texts)
    documents = pl.DataFrame(
        {
            "doc_id": [document_id("book", "d1", str(n)) for n in range(count)],
            "source": "book",
            "delivery": [f"d{n % 3}" for n in range(count)],
            "component": [
                "small" if n % 25 == 0 else "book" if n % 5 == 0 else "crawl" for n in range(count)
            ],
            "lang": "zh",
            "text": texts,
            "copies": [1 + n % 2 for n in range(count)],
        }
    )
    write_shards([documents], tokenizer_json, folder, "train", EOD, tokens_config)
    write_shards([documents.head(9)], tokenizer_json, folder, "validation", EOD, tokens_config)
    (folder / "tokenizer.json").write_bytes(tokenizer_json)
    trace = TraceIndex(folder, "train")
    rows = trace.frame()
    books = (rows["component"] == "book").to_numpy()
    numbers = rows["doc_id"].rank("dense").to_numpy() // 4
    wanted = DataOrder(
        mixture="v0",
        sequence_length=LENGTH,
        global_batch=BATCH,
        seed=5,
        options=OrderConfig.model_validate(
            {
                "passes": 2,
                "whole": {"components": ["book"]},
                "concentrate": {"components": ["small"], "share": 0.5},
            }
        ),
    )
    made = Corpus(
        lengths=trace.lengths(),
        origins=trace.codes(),
        kinds=trace.origins,
        max_epochs={"crawl": 2, "book": 4, "small": 4},
        belonging=Belonging(np.where(books, numbers, -1).astype(np.int64), np.arange(rows.height)),
    )
    build_plan(made, wanted)[0].save(folder / "order")
    return folder


def tiny_job(corpus: Path, ranks: int) -> TrainingJob:
    return TrainingJob(
        experiment="served",
        fingerprint=f"ranks{ranks}",
        base=corpus,
        model=ModelSize(layers=1, hidden=32, ffn=64, heads=2, kv_heads=2, context=LENGTH, vocab_size=1500),
        data=TokenData(
            train=tuple(Path(path.stem) for path in sorted(corpus.glob("train-?????.idx"))),
            order=Path("order"),
            validation=(Path("validation-00000"),),
            tokenizer_json=Path("tokenizer.json"),
            eod_id=0,
        ),
        batch=Batch(tokens=LENGTH * BATCH, sequence_length=LENGTH),
        hardware=Hardware(devices=ranks, micro_batch_size=2),
        steps=STEPS,
        optimizer=Optimizer(lr=1e-3),
        threads=1,
        checkpoint_every=2,
        validate_every=100,
        validation_sequences=2,
    )


def run_of(corpus: Path) -> Run:
    return Run(open_plan(corpus / "order")[0], TraceIndex(corpus, "train"))


def expected(corpus: Path, trace: pl.DataFrame) -> dict[int, list[tuple[int, ...]]]:
    """The inputs of each step's sequences, put together from the spans of the trace and the shards' documents."""
    shards = [read_indexed(path.with_suffix("")) for path in sorted(corpus.glob("train-?????.idx"))]
    sequences: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row in trace.iter_rows(named=True):
        tokens = sequences[row["step"], row["sequence"]]
        assert len(tokens) == row["offset"]
        document = shards[row["shard"]].document(row["position"])
        tokens += document[row["document_offset"] :][: row["tokens"]].tolist()
    steps: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for (step, _), tokens in sorted(sequences.items()):
        steps[step].append(tuple(tokens))
    return steps


def record(corpus: Path, job: TrainingJob, folder: Path) -> dict[int, list[tuple[int, ...]]]:
    """Train until the beginning of step 4, end there, go on; return what each step served, ranks in order."""
    (folder / "state").mkdir()
    (folder / "served").mkdir()
    job.save(folder / "state")
    (folder / "record.py").write_text(RECORD)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "record.py", str(folder / "state"), str(folder / "served"), "4", "0"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["9 0"], done.stderr[-3000:]
    found: dict[int, dict[int, list[tuple[int, ...]]]] = defaultdict(lambda: defaultdict(list))
    resumed = {path.name[:3] for path in (folder / "served").glob("*-000.npz")}
    for path in sorted((folder / "served").iterdir()):
        step, rank, _, stop = path.stem.split("-")
        if stop == "004" and step in resumed:
            continue  # done again after the resume
        batch = np.load(path)
        assert np.array_equal(batch["input_ids"][:, 1:], batch["labels"][:, :-1])
        found[int(step)][int(rank)] += map(tuple, batch["input_ids"].tolist())
    return {step: [row for _, rows in sorted(ranks.items()) for row in rows] for step, ranks in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_trace_is_what_the_loader_served_before_and_after_a_resume(
    corpus: Path, tmp_path: Path, ranks: int
) -> None:
    recorded = record(corpus, tiny_job(corpus, ranks), tmp_path)
    assert list(recorded) == list(range(1, STEPS + 1))
    trace = served(run_of(corpus), range(1, STEPS + 1))
    assert recorded == expected(corpus, trace)
    assert trace.group_by("step").agg(pl.col("tokens").sum())["tokens"].to_list() == [LENGTH * BATCH] * STEPS


@pytest.fixture(autouse=True)
def torch_settings() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def test_the_loaders_of_two_ranks_serve_what_the_trace_says(corpus: Path) -> None:
    from training_jobs.sequence_batches import TrainBatches, train_tokens

    job = tiny_job(corpus, 2)
    tokens = train_tokens(job)
    ranks = [list(TrainBatches(job, tokens, rank=rank, done=2)) for rank in range(2)]
    assert all(len(batches) == (STEPS - 2) * job.accumulation for batches in ranks)
    found = {
        step: [
            tuple(row)
            for batches in ranks
            for batch in batches[(step - 3) * job.accumulation : (step - 2) * job.accumulation]
            for row in batch["input_ids"].tolist()
        ]
        for step in range(3, STEPS + 1)
    }
    assert found == expected(corpus, served(run_of(corpus), range(3, STEPS + 1)))


def test_exposure_counts_what_the_trace_lists(corpus: Path) -> None:
    run = run_of(corpus)
    trace = served(run, range(1, STEPS + 1))
    by_document = trace.group_by("doc_id").agg(pl.col("tokens").sum())
    seen = tokens_seen(run, STEPS).group_by("doc_id").agg(pl.col("tokens_seen").sum())
    assert dict(seen.iter_rows()) == dict(by_document.iter_rows())
    for doc_id in trace["doc_id"].unique().to_list()[:20]:
        copies = run.trace.find(doc_id)
        steps = {
            step
            for offset, tokens in copies.select("offset", "tokens").iter_rows()
            for step in steps_that_saw(run, offset, tokens, STEPS)
        }
        assert steps == set(trace.filter(pl.col("doc_id") == doc_id)["step"])
