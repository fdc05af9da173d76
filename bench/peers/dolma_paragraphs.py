"""dolma: duplicated paragraphs by its Rust deduper with a Bloom filter, as its program calls it.

It takes no texts but files: reading JSON lines, which are compressed at the fastest level, and writing its attributes are
counted. Its extension is loaded without the package around it, whose requirements don't go with the other peers'.
"""

import gzip
import importlib.util
import json
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from bench.documents import megabytes, read

FALSE_POSITIVES = 1e-5


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents and write them as it reads them."""
    texts = read(params["documents"], params["lang"]).texts
    folder = tempfile.TemporaryDirectory()
    documents = Path(folder.name, "documents")
    documents.mkdir()
    with gzip.open(documents / "all.jsonl.gz", "wt", compresslevel=1, encoding="utf-8") as file:
        for number, text in enumerate(texts):
            row = {"id": str(number), "text": text, "source": "all"}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return {
        "deduper": _extension().deduper_entrypoint,
        "folder": folder,
        "megabytes": megabytes(texts),
        "documents": len(texts),
        "paragraphs": sum(text.count("\n") + 1 for text in texts),
    }


def run(state: dict[str, Any]) -> None:
    """Find the duplicates."""
    with tempfile.TemporaryDirectory() as name:
        config = {
            "documents": [f"{state['folder'].name}/documents/*"],
            "work_dir": {"input": f"{name}/input", "output": f"{name}/output"},
            "dedupe": {
                "name": Path(name).name,
                "skip_empty": True,
                "paragraphs": {"attribute_name": "duplicates", "paragraph_separator": "\n"},
            },
            "bloom_filter": {
                "file": f"{name}/filter",
                "size_in_bytes": 0,
                "read_only": False,
                "estimated_doc_count": state["paragraphs"],
                "desired_false_positive_rate": FALSE_POSITIVES,
            },
            "processes": 1,
        }
        state["deduper"](json.dumps(config))


def report(state: dict[str, Any], result: None) -> dict[str, Any]:
    """Return how much was read."""
    state["folder"].cleanup()
    return {name: state[name] for name in ("documents", "megabytes", "paragraphs")}


def _extension() -> Any:
    [path] = Path(sysconfig.get_path("platlib"), "dolma").glob("dolma.*.so")
    spec = importlib.util.spec_from_file_location("dolma.dolma", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
