"""Phoenix: raw crawls and purchased data become versioned pretraining corpora, training runs and evaluations.

One room per stage, in the order data flows: `ingest`, `clean`, `dedup`, `tag`, `mix`, `tokens`, `train`,
`evaluate`, `audit`. In a room `assets.py` and `checks.py` declare and wire; every other module is a kernel, a
pure function over Arrow or Polars data. `schema.py` holds what the rooms hand to each other.
"""

import os
from hashlib import sha256
from pathlib import Path


def _compiled_kernels() -> str:
    """Return the folder of numba's compiled kernels for exactly this source code.

    Numba notices a change in a kernel's own file, but not in a function that it inlines from another one.
    """
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    stamps = "".join(f"{path}|{path.stat().st_size}|{path.stat().st_mtime_ns};" for path in sources)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return str(cache / "phoenix" / "kernels" / sha256(stamps.encode()).hexdigest()[:16])


os.environ.setdefault("NUMBA_CACHE_DIR", _compiled_kernels())
