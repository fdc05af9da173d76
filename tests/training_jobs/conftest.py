"""A tiny but real training job: a tokenizer, indexed token shards of its own text, and a two-layer model."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from phoenix_assets.order.config import DataOrder, OrderConfig
from phoenix_assets.order.plan import build_plan
from phoenix_assets.order.stream import Corpus
from phoenix_assets.tokens.config import ExtensionConfig
from phoenix_assets.tokens.extension import extend_tokenizer
from phoenix_assets.tokens.indexed import read_indexed
from training_jobs.data_order import OrderPlan, sequence_count
from training_jobs.job import Batch, Hardware, ModelSize, Optimizer, Supervision, TokenData, TrainingJob

VOCABULARY = 300
TEXT = [
    "从4月1日金泽至炉庵的交通巴士正式运行！路上还会带您至白山市人气观光景点。",
    "The quick brown fox jumps over the lazy dog; a step of training follows another.",
    "手取川的水流所切割成的峡谷，绵之瀑的落差达32米，非常壮观。",
]


def write_shard(prefix: Path, documents: list[np.ndarray], code: int = 8, dtype: str = "<u2") -> None:
    lengths = np.array([len(document) for document in documents], "<i4")
    pointers = np.concatenate([[0], np.cumsum(lengths)[:-1]]).astype("<i8") * np.dtype(dtype).itemsize
    np.concatenate([*documents, np.zeros(0)]).astype(dtype).tofile(f"{prefix}.bin")
    header = b"MMIDIDX\x00\x00" + np.uint64(1).tobytes() + np.uint8(code).tobytes()
    counts = np.array([len(documents), len(documents) + 1], "<u8").tobytes()
    ends = np.arange(len(documents) + 1, dtype="<i8").tobytes()
    Path(f"{prefix}.idx").write_bytes(header + counts + lengths.tobytes() + pointers.tobytes() + ends)


def shuffled_plan(
    lengths: np.ndarray, *, sequence_length: int, global_batch: int, passes: int = 1, seed: int = 0
) -> OrderPlan:
    """The plan of documents of one component, in which nothing is asked for but `passes`."""
    kinds = pl.DataFrame({"component": ["all"], "copies": [1], "copy": [0]})
    corpus = Corpus(lengths, np.zeros(len(lengths), np.uint8), kinds, {"all": float(passes)})
    order = DataOrder(
        mixture="v0",
        sequence_length=sequence_length,
        global_batch=global_batch,
        seed=seed,
        options=OrderConfig(passes=passes),
    )
    return build_plan(corpus, order)[0]


def with_plan(job: TrainingJob, tokens: Path) -> TrainingJob:
    """Return `job` with an order plan of as many passes as it needs, which lies beside the tokens."""
    folder = Path(f"order-{job.batch.sequences}-{job.steps}")
    lengths = np.concatenate([read_indexed(tokens / prefix).lengths for prefix in job.data.train])
    a_pass = sequence_count(int(lengths.sum()), job.batch.sequence_length)
    plan = shuffled_plan(
        lengths,
        sequence_length=job.batch.sequence_length,
        global_batch=job.batch.sequences,
        passes=-(-job.steps * job.batch.sequences // a_pass),
        seed=1234,
    )
    if not (tokens / folder).is_dir():
        plan.save(tokens / folder)
    return job.model_copy(update={"data": job.data.model_copy(update={"order": folder})})


@pytest.fixture(scope="session")
def token_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|eod|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return write_tokens(folder, tokenizer)


def write_tokens(folder: Path, tokenizer: Tokenizer) -> Path:
    """Write the tokenizer, and TEXT by it as shards."""
    tokenizer.save(str(folder / "tokenizer.json"))
    documents = [np.array([*tokenizer.encode(text).ids, 0]) for text in TEXT * 12]
    write_shard(folder / "train-00", documents[:10])
    write_shard(folder / "train-01", documents[10:])
    write_shard(folder / "validation", documents[:3])
    return folder


@pytest.fixture(scope="session")
def extended_folder(token_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same text by an extended tokenizer, with the tokens that were added."""
    folder = tmp_path_factory.mktemp("extended")
    config = ExtensionConfig(mixture="v0", bytes_per_language=1, seed=0, tokens=20, added=("交通",))
    made = extend_tokenizer(token_folder / "tokenizer.json", TEXT, config)
    made.rows.write_parquet(folder / "extension.parquet")
    return write_tokens(folder, Tokenizer.from_str(made.tokenizer_json.decode()))


@pytest.fixture
def torch_settings() -> Iterator[None]:
    """Put back what a run in this process sets for all of it."""
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def make_job(token_folder: Path) -> Callable[..., TrainingJob]:
    def make(**changes: object) -> TrainingJob:
        job = TrainingJob(
            experiment="tiny",
            fingerprint="f0",
            base=token_folder,
            model=ModelSize(
                layers=2, hidden=64, ffn=128, heads=4, kv_heads=2, context=32, vocab_size=VOCABULARY
            ),
            data=TokenData(
                train=(Path("train-00"), Path("train-01")),
                order=Path("order"),
                validation=(Path("validation"),),
                tokenizer_json=Path("tokenizer.json"),
                eod_id=0,
            ),
            batch=Batch(tokens=128, sequence_length=16),
            hardware=Hardware(micro_batch_size=4),
            steps=12,
            optimizer=Optimizer(lr=3e-3, warmup_steps=2),
            threads=1,
            checkpoint_every=4,
            validate_every=4,
            validation_sequences=6,
            supervision=Supervision(heartbeat=0.5, grace=10),
        )
        job = job.model_validate({**job.model_dump(), **changes})
        return with_plan(job, job.base if job.base.is_dir() else token_folder)

    return make
