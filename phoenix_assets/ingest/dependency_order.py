"""The files of a repository in the order of their dependencies: what is needed stands before what needs it.

The idea and the treatment of cycles are DeepSeek-Coder's (Guo et al. 2024, arXiv:2401.14196, algorithm 1): not the files
without dependencies come first but those with the fewest left. Here that rules only within a cycle, for cycles are found
first (Tarjan 1972); so a dependency that can be kept is kept. A file follows its dependencies as closely as it can, and
ties go by path.
"""

import heapq
import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from phoenix_assets.ingest.code_references import Reference, related

KERNEL_VERSION: Final = "1"

_CANDIDATES: Final = 50  # files of one name that are looked at for a reference
_FOLDER_MODULES: Final = frozenset({"__init__", "index", "mod"})  # files that stand for their folder


@dataclass(frozen=True, slots=True)
class SourceFile:
    """What ordering needs of a file: its path in the repository, its language, what it refers to."""

    path: str
    language: str
    references: tuple[Reference, ...]


def dependency_order(files: Iterable[SourceFile], most: int) -> list[str]:
    """Return the paths in dependency order; of a file's dependencies the first `most` count."""
    by_path = {file.path: file for file in files}
    index = _Index(by_path)
    needs = {path: index.dependencies(by_path[path], most) for path in sorted(by_path)}
    return [path for cycle in _cycles(needs) for path in _fewest_first(cycle, needs)]


class _Index:
    """Finds files by what references say of them."""

    def __init__(self, files: Mapping[str, SourceFile]) -> None:
        self._files = files
        self._spelled: dict[str, list[str]] = defaultdict(list)  # by all that a whole path may be written as
        self._named: dict[str, list[tuple[str, str]]] = defaultdict(list)  # by last part: spelling, path
        self._folders: dict[str, list[str]] = defaultdict(list)  # by last part
        self._members: dict[str, list[str]] = defaultdict(list)  # of folders
        for path in sorted(files):
            for spelling in _spellings(path):
                self._spelled[spelling].append(path)
                self._named[posixpath.basename(spelling)].append((spelling, path))
            folder = posixpath.dirname(path)
            if folder not in self._members:
                self._folders[posixpath.basename(folder)].append(folder)
            self._members[folder].append(path)

    def dependencies(self, file: SourceFile, most: int) -> list[str]:
        """Return the other files that `file` needs, each once, in the order of its references."""
        found: dict[str, None] = {}
        for reference in file.references:
            targets = next(filter(None, (self._targets(file, wanted) for wanted in reference if wanted)), ())
            found |= dict.fromkeys(target for target in targets if target != file.path)
            if len(found) >= most:
                break
        return list(found)[:most]

    def _targets(self, file: SourceFile, wanted: str) -> list[str]:
        """Return what one path of a reference means: a folder's files of the language, one file, or nothing."""
        if wanted.endswith("/"):
            named = self._folders.get(posixpath.basename(wanted[:-1]), [])[:_CANDIDATES]
            folders = [folder for folder in named if f"/{folder}".endswith(f"/{wanted[:-1]}")]
            members = self._members[_nearest(folders, file.path)] if folders else []
            return [path for path in members if self._files[path].language == file.language]
        if wanted.startswith("."):
            paths = self._spelled.get(
                posixpath.normpath(posixpath.join(posixpath.dirname(file.path), wanted)), []
            )
        else:
            paths = self._ending(wanted)
        paths = [path for path in paths if related(file.language, self._files[path].language)]
        return [_nearest(paths, file.path)] if paths else []

    def _ending(self, end: str) -> list[str]:
        """Return the files whose path ends with `end`, below a folder that is no Python package itself.

        `import types` is not the module `types` of some package.
        """
        return [
            path
            for spelling, path in self._named.get(posixpath.basename(end), [])[:_CANDIDATES]
            if spelling == end
            or (spelling.endswith(f"/{end}") and f"{spelling[: -len(end)]}__init__.py" not in self._files)
        ]


def _spellings(path: str) -> list[str]:
    """Return what a reference may call a file: its path, without its extension, its folder if it stands for it."""
    folder, name = posixpath.split(path)
    stem = name.rpartition(".")[0] or name
    return list(
        dict.fromkeys([path, posixpath.join(folder, stem), *([folder] if stem in _FOLDER_MODULES else [])])
    )


def _nearest(paths: list[str], origin: str) -> str:
    """Return the path that shares most folders with `origin`, of several the shortest, then the first by name."""
    return min(paths, key=lambda path: (-len(posixpath.commonpath((path, origin))), len(path), path))


def _cycles(needs: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Yield the strongly connected components, each after all that it needs (Tarjan 1972, without recursion)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_paths: list[str] = []
    is_open: set[str] = set()
    for root in needs:
        visits = [] if root in number else [(root, iter(needs[root]))]
        while visits:
            path, rest = visits[-1]
            if path not in number:
                number[path] = lowest[path] = len(number)
                open_paths.append(path)
                is_open.add(path)
            needed = next(rest, None)
            if needed is None:
                visits.pop()
                if visits:
                    above = visits[-1][0]
                    lowest[above] = min(lowest[above], lowest[path])
                if lowest[path] == number[path]:
                    component = [open_paths.pop()]
                    while component[-1] != path:
                        component.append(open_paths.pop())
                    is_open.difference_update(component)
                    yield component
            elif needed not in number:
                visits.append((needed, iter(needs[needed])))
            elif needed in is_open:
                lowest[path] = min(lowest[path], number[needed])


def _fewest_first(cycle: list[str], needs: Mapping[str, list[str]]) -> Iterator[str]:
    """Yield the files of a cycle, always the one with the fewest dependencies ahead, the most needed of several."""
    needed_by: dict[str, list[str]] = defaultdict(list)
    for path in cycle if len(cycle) > 1 else ():
        for other in needs[path]:
            needed_by[other].append(path)
    members = set(cycle)
    ahead = {path: sum(other in members for other in needs[path]) for path in cycle}
    queue = [(count, -len(needed_by[path]), path) for path, count in ahead.items()]
    heapq.heapify(queue)
    while queue:
        count, _, path = heapq.heappop(queue)
        if ahead.get(path) != count:
            continue  # placed, or queued again with fewer ahead
        del ahead[path]
        yield path
        for other in needed_by[path]:
            if other in ahead:
                ahead[other] -= 1
                heapq.heappush(queue, (ahead[other], -len(needed_by[other]), other))
