"""Connected components: from pairs of duplicates to clusters (union-find with path halving)."""

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

KERNEL_VERSION: Final = "1"

Rows = npt.NDArray[np.int64]


def components(count: int, a: Rows, b: Rows) -> Rows:
    """Return the smallest row number of each row's component; rows are 0 … count - 1, edges a[i] – b[i].

    The labels do not depend on the order or the direction of the edges. Raises ValueError when an edge leaves
    the rows.
    """
    if len(a) != len(b):
        raise ValueError(f"edges have {len(a)} first ends and {len(b)} second ends")
    for ends in (a, b):
        if len(ends) and (ends.min() < 0 or ends.max() >= count):
            raise ValueError(f"an edge leads to row {ends.max()} or {ends.min()}, there are {count} rows")
    parent = np.arange(count)
    _union(parent, np.ascontiguousarray(a, np.int64), np.ascontiguousarray(b, np.int64))
    return parent


@numba.njit(cache=True, nogil=True)
def _root(parent: Rows, row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


@numba.njit(cache=True, nogil=True)
def _union(parent: Rows, a: Rows, b: Rows) -> None:
    for edge in range(len(a)):
        root_a = _root(parent, a[edge])
        root_b = _root(parent, b[edge])
        parent[max(root_a, root_b)] = min(root_a, root_b)
    for row in range(len(parent)):
        parent[row] = _root(parent, row)
