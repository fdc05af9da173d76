"""Build KenLM's `lmplz` and `build_binary` from the source distribution of its Python package.

    python -m phoenix_assets.clean.kenlm_builder <bin_dir>

The sources come by this interpreter's pip (`kenlm` alone, nothing is installed) and are checked against the SHA-256
in `config/kenlm.yaml`; cmake, a C++ compiler and Boost's headers must be there. A `bin_dir` that has both programs
is left as it is.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from phoenix_assets.clean.config import KenlmConfig
from phoenix_assets.config import config_dir, load
from phoenix_assets.errors import PhoenixError

PROGRAMS: Final = ("lmplz", "build_binary")
DEBIAN_PACKAGES: Final = (
    "cmake g++ make libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev "
    "zlib1g-dev libbz2-dev liblzma-dev"
)


def build(bin_dir: Path, config: KenlmConfig) -> None:
    """Put both programs into `bin_dir`. Raises PhoenixError that names what is missing."""
    if all((bin_dir / program).exists() for program in PROGRAMS):
        return
    missing = [tool for tool in ("cmake", "c++", "make") if shutil.which(tool) is None]
    if missing:
        raise PhoenixError(f"{', '.join(missing)} not found; on Debian: apt-get install {DEBIAN_PACKAGES}")
    bin_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = _unpack(_download(config, folder), folder)
        out = folder / "out"
        _run(
            ["cmake", "-S", str(sources), "-B", str(out), "-DCMAKE_BUILD_TYPE=Release"],
            config.timeout_seconds,
        )
        jobs = str(os.cpu_count() or 1)
        _run(["cmake", "--build", str(out), "-j", jobs, "--target", *PROGRAMS], config.timeout_seconds)
        for program in PROGRAMS:
            part = bin_dir / f".{program}.part"
            shutil.copy2(out / "bin" / program, part)
            part.replace(bin_dir / program)


def _download(config: KenlmConfig, folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "kenlm"]
    _run([*pip, "--dest", str(folder), config.distribution], config.timeout_seconds)
    archive = next(iter(sorted(folder.glob("kenlm-*.tar.gz"))), None)
    if archive is None:
        raise PhoenixError(f"`pip download {config.distribution}` brought no source distribution")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != config.distribution_sha256:
        raise PhoenixError(
            f"{archive.name} has SHA-256 {digest}, expected {config.distribution_sha256} (config/kenlm.yaml)"
        )
    return archive


def _unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def _run(command: list[str], timeout_seconds: int) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=True)
    except subprocess.CalledProcessError as error:
        words = (error.stderr.strip() or error.stdout.strip())[-1500:]
        raise PhoenixError(
            f"`{' '.join(command[:4])} …` failed:\n{words}\nBuilding KenLM on Debian needs: apt-get install {DEBIAN_PACKAGES}"
        ) from error


def main() -> int:
    """Build into the folder given on the command line; return the exit status."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m phoenix_assets.clean.kenlm_builder <bin_dir>\n")
        return 2
    try:
        build(Path(sys.argv[1]), load(KenlmConfig, config_dir() / "kenlm.yaml"))
    except PhoenixError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
