"""Into how many bands of how many rows a signature is cut: datasketch's optimum for a threshold.

Two documents of Jaccard similarity s share a band, and so are compared, with probability 1 - (1 - s^rows)^bands (Leskovec,
Rajaraman & Ullman, Mining of Massive Datasets, 3.4). The optimum makes the area of this curve below the threshold and
that above the curve from the threshold on as small as possible together.
"""

from functools import cache
from typing import Final

KERNEL_VERSION: Final = "1"


@cache
def optimal_banding(threshold: float, permutations: int) -> tuple[int, int]:
    """Return (bands, rows) for signatures of so many permutations, not all of which need be used."""
    from datasketch import MinHashLSH  # with SciPy: half a second

    lsh = MinHashLSH(threshold=threshold, num_perm=permutations)
    return int(lsh.b), int(lsh.r)


def share_compared(similarity: float, bands: int, rows: int) -> float:
    """Return which share of the pairs of documents with a similarity is compared."""
    return float(1 - (1 - similarity**rows) ** bands)
