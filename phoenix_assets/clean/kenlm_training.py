"""Training of KenLM models: count and smooth with `lmplz`, compile with `build_binary`.

Both are programs of KenLM's own; `find_builder` says where they are, `phoenix_assets.clean.kenlm_builder` builds
them. The same lines and configuration give the same bytes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from phoenix_assets.clean.config import KenlmConfig
from phoenix_assets.errors import PhoenixError

KERNEL_VERSION: Final = "1"


@dataclass(frozen=True)
class KenlmBuilder:
    """Where KenLM's programs are."""

    lmplz: Path
    build_binary: Path


def find_builder() -> KenlmBuilder:
    """Return KenLM's programs: from `$PHOENIX_BIN`, beside this interpreter, in `.phoenix/bin`, or on PATH.

    Raises PhoenixError that says how to build them.
    """
    folders = [Path(sys.executable).parent, Path(".phoenix/bin")]
    if chosen := os.environ.get("PHOENIX_BIN"):
        folders.insert(0, Path(chosen))
    path = os.pathsep.join([*(str(folder.absolute()) for folder in folders), os.environ.get("PATH", "")])
    lmplz, build_binary = (shutil.which(name, path=path) for name in ("lmplz", "build_binary"))
    if not lmplz or not build_binary:
        raise PhoenixError(
            "KenLM's lmplz and build_binary are not found (looked in $PHOENIX_BIN, beside the interpreter, in "
            f".phoenix/bin and on PATH); build them: {sys.executable} -m phoenix_assets.clean.kenlm_builder "
            f"{Path(sys.executable).parent}"
        )
    return KenlmBuilder(Path(lmplz), Path(build_binary))


def train(lines: Iterable[str], out: Path, config: KenlmConfig, lmplz: Path, build_binary: Path) -> Path:
    """Train a model of tokenised `lines` (`perplexity.sentences`) and put it at `out` in one step.

    Raises PhoenixError with the program's own words when one of them fails, or when there are no lines.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".kenlm-") as name:
        folder = Path(name)
        text, arpa, binary = folder / "lines", folder / "arpa", folder / "binary"
        if not _write_lines(lines, text):
            raise PhoenixError(
                f"no reference text to train {out.name} on; materialise a source of its language first"
            )
        prune = ["--prune", *map(str, config.prune)] if config.prune else []
        _run(
            [
                *(str(lmplz), "-o", str(config.order), "-S", config.memory, "-T", str(folder / "sort")),
                *("--skip_symbols", "--discount_fallback", "--text", str(text), "--arpa", str(arpa), *prune),
            ],
            config.timeout_seconds,
        )
        text.unlink()
        _run(
            [str(build_binary), "-S", config.memory, config.structure, str(arpa), str(binary)],
            config.timeout_seconds,
        )
        binary.replace(out)
    return out


def _write_lines(lines: Iterable[str], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(line + "\n")
            count += 1
    return count


def _run(command: list[str], timeout_seconds: int) -> None:
    name = Path(command[0]).name
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=True)
    except subprocess.CalledProcessError as error:
        raise PhoenixError(
            f"{name} failed with status {error.returncode}: {error.stderr.strip()[-1000:]}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise PhoenixError(
            f"{name} ran over {timeout_seconds} s; raise timeout_seconds in config/kenlm.yaml or lower "
            "reference_characters"
        ) from error
