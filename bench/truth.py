"""Judge clusters by the documents' exact Jaccard similarities, recomputed for every pair that a program reports."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import shingles
from bench.documents import Documents


@dataclass
class Truth:
    """Documents of one language, their shingle sets and the similarities that were asked for.

    Clusters are `labels`: for each document the position of the one that is kept for it, its own when it is kept.
    """

    documents: Documents
    size: int  # tokens of a shingle
    _sets: dict[int, set[str]] = field(default_factory=dict)
    _similarities: dict[tuple[int, int], float] = field(default_factory=dict)

    def similarity(self, left: int, right: int) -> float:
        """Return the exact similarity of two documents by position."""
        pair = (left, right)
        if pair not in self._similarities:
            self._similarities[pair] = shingles.jaccard(*map(self._shingles, pair))
        return self._similarities[pair]

    def precision(self, labels: Sequence[int], *, at_least: float) -> float:
        """Return the share of dropped documents that are `at_least` as similar as that to another one of their cluster.

        The kept one is asked first; a document may stand behind it that only a third one connects with it. Raises
        ValueError when nothing was dropped.
        """
        clusters: dict[int, list[int]] = {}
        for position, label in enumerate(labels):
            clusters.setdefault(label, []).append(position)
        return self._share(labels, clusters, at_least)

    def like_kept(self, labels: Sequence[int], *, at_least: float) -> float:
        """Return the share of dropped documents that are that similar to the one kept. Raises ValueError as above."""
        return self._share(labels, {}, at_least)

    def _share(self, labels: Sequence[int], clusters: dict[int, list[int]], at_least: float) -> float:
        right = [
            any(
                self.similarity(position, other) >= at_least
                for other in (label, *clusters.get(label, ()))
                if other != position
            )
            for position, label in enumerate(labels)
            if label != position
        ]
        if not right:
            raise ValueError("nothing was dropped: there is no pair to judge")
        return sum(right) / len(right)

    def _shingles(self, position: int) -> set[str]:
        if position not in self._sets:
            self._sets[position] = shingles.of_tokens(self.documents.texts[position], self.size)
        return self._sets[position]
