"""Connected components in plain Python, for tools that return candidates but no clusters."""

from collections.abc import Iterable


class Components:
    """Disjoint sets of positions, by path halving; the smallest position of a set is its label."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def label(self, position: int) -> int:
        """Return the smallest position of the set that `position` is in."""
        parent = self._parent
        while parent[position] != position:
            parent[position] = parent[parent[position]]
            position = parent[position]
        return position

    def join(self, position: int, others: Iterable[int]) -> None:
        """Put `others` into the set of `position`."""
        mine = self.label(position)
        for other in others:
            theirs = self.label(other)
            if theirs < mine:
                self._parent[mine] = theirs
                mine = theirs
            elif theirs > mine:
                self._parent[theirs] = mine

    def labels(self) -> list[int]:
        """Return the label of every position."""
        return [self.label(position) for position in range(len(self._parent))]
