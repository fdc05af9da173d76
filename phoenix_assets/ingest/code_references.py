"""Which other files a source file says it needs, by its import, include and require lines.

A reference is a tuple of paths to try in turn. A path that begins with `.` is relative to the file's folder, one that
ends with `/` is a folder, any other is the end of a path within the repository, with or without its extension. Lines are
recognised, not parsed: code of any dialect, also broken code, gives what can be seen in it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import PurePosixPath
from typing import Final

KERNEL_VERSION: Final = "1"

Reference = tuple[str, ...]
Finder = Callable[[str, str], Iterator[Reference]]  # the file's path, its text

_PYTHON_FROM: Final = re.compile(
    r"^[ \t]*from[ \t]+(\.{0,9})([\w.]{0,200})[ \t]+c?import[ \t]+(?:\(([^()]{0,4000})\)|([^\n(]{0,400}))",
    re.M,
)
_PYTHON_IMPORT: Final = re.compile(r"^[ \t]*c?import[ \t]+([\w.,\t ]{1,400})", re.M)
_SCRIPT: Final = re.compile(
    r"""(?:\bfrom[ \t]{0,9}|\bimport[ \t]{0,9}\(?|\brequire[ \t]{0,9}\()[ \t]{0,9}["'](\.{1,2}/[^"'\n]{1,200})["']"""
)
_INCLUDE: Final = re.compile(
    r"""^[ \t]*#[ \t]*(?:include|import)[ \t]*(?:"([^"\n]{1,200})"|<([^>\n]{1,200})>)""", re.M
)
_JVM: Final = re.compile(
    r"^[ \t]*import[ \t]+(?:static[ \t]+)?(\w{1,100}(?:\.(?!_\b)\w{1,100}){0,20})(\.\*|\._|\.\{)?", re.M
)
_GO_BLOCK: Final = re.compile(r'^import[ \t]*(?:\(([^()]{0,9000})\)|[\w. \t]{0,80}("[^"\n]{1,200}"))', re.M)
_QUOTED: Final = re.compile(r'"([^"\n]{1,200})"')
_RUST: Final = re.compile(
    r"^[ \t]*(?:pub(?:\([\w: ]{1,40}\))?[ \t]+)?(?:mod[ \t]+(\w{1,100})[ \t]*;|use[ \t]+(crate|super|self)((?:::\w{1,100}){1,9}))",
    re.M,
)
_CSHARP: Final = re.compile(
    r"^[ \t]*(?:global[ \t]+)?using[ \t]+(?:static[ \t]+)?([\w.]{1,200})[ \t]*;", re.M
)
_PHP_USE: Final = re.compile(r"^[ \t]*use[ \t]+\\?([\w\\]{1,200})", re.M)
_PHP_FILE: Final = re.compile(
    r"""^[ \t]*(?:require|include)(?:_once)?[ \t(]{0,9}(?:__DIR__[ \t.]{1,9})?["']/?([^"'\n]{1,200})["']""",
    re.M,
)
_RUBY: Final = re.compile(r"""^[ \t]*require(_relative)?[ \t(]{1,9}["']([^"'\n]{1,200})["']""", re.M)
_NAMED_FILE: Final = re.compile(
    r"""^[ \t]*(?:import|export|include|-include|`include|part|source|\.)\b[ \t(]{0,9}(?:public[ \t]+)?["']([^"'\n]{1,200})["']""",
    re.M,
)
_MODULE: Final = re.compile(
    r"^[ \t]*(?:import|use|require)[ \t]+(?:qualified[ \t]+)?([A-Z]\w{0,100}(?:(?:\.|::)\w{1,100}){0,9})",
    re.M,
)
_LUA: Final = re.compile(r"""\brequire[ \t(]{0,9}["']([\w./]{1,200})["']""")


def references(path: str, language: str, text: str, most: int) -> tuple[Reference, ...]:
    """Return what the file at `path` refers to, in its order, at most `most`; nothing in an unknown language."""
    find = _FINDERS.get(language)
    return tuple(dict.fromkeys(islice(find(path, text), most))) if find else ()


def _python(_: str, text: str) -> Iterator[Reference]:
    for match in _PYTHON_FROM.finditer(text):
        level, module = len(match[1]), match[2].strip(".").replace(".", "/")
        base = "/".join(filter(None, ("/".join(["."] + [".."] * (level - 1)) if level else "", module)))
        for name in (match[3] or match[4] or "").split(","):
            word = name.split("#")[0].split()
            if base and word:
                yield (f"{base}/{word[0]}", base) if word[0].isidentifier() else (base,)
    for match in _PYTHON_IMPORT.finditer(text):
        for name in filter(None, map(str.strip, match[1].split(","))):
            parts = name.split()[0].strip(".").split(".")
            yield tuple("/".join(parts[:count]) for count in range(len(parts), 0, -1))


def _script(_: str, text: str) -> Iterator[Reference]:
    for match in _SCRIPT.finditer(text):
        yield (f"./{match[1]}",)


def _include(_: str, text: str) -> Iterator[Reference]:
    for match in _INCLUDE.finditer(text):
        yield (f"./{match[1]}", match[1]) if match[1] else (match[2],)


def _jvm(_: str, text: str) -> Iterator[Reference]:
    for match in _JVM.finditer(text):
        name = match[1].strip(".").replace(".", "/")
        yield (f"{name}/", name) if match[2] else (name, name.rpartition("/")[0])


def _go(_: str, text: str) -> Iterator[Reference]:
    for block in _GO_BLOCK.finditer(text):
        for name in _QUOTED.findall(block[1] or block[2]):
            if "." in name.partition("/")[0]:  # the standard library has no domain
                yield tuple(f"{end}/" for end in _ends(name.split("/"))[1:])


def _rust(path: str, text: str) -> Iterator[Reference]:
    stem = PurePosixPath(path).stem
    for match in _RUST.finditer(text):
        if match[1]:
            yield f"./{match[1]}", f"./{stem}/{match[1]}"
            continue
        base = {"crate": "src", "super": ".", "self": f"./{stem}"}[match[2]]
        parts = match[3].split("::")[1:]
        yield tuple(f"{base}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1))


def _csharp(_: str, text: str) -> Iterator[Reference]:
    for match in _CSHARP.finditer(text):
        yield tuple(f"{end}/" for end in _ends(match[1].split(".")))


def _php(_: str, text: str) -> Iterator[Reference]:
    for match in _PHP_USE.finditer(text):
        yield tuple(_ends(match[1].strip("\\").split("\\")))
    for match in _PHP_FILE.finditer(text):
        yield f"./{match[1]}", match[1]


def _ruby(_: str, text: str) -> Iterator[Reference]:
    for match in _RUBY.finditer(text):
        yield (f"./{match[2]}",) if match[1] else (match[2],)


def _lua(_: str, text: str) -> Iterator[Reference]:
    for match in _LUA.finditer(text):
        yield (match[1].replace(".", "/"),)


def _named_file(_: str, text: str) -> Iterator[Reference]:
    for match in _NAMED_FILE.finditer(text):
        yield f"./{match[1]}", match[1]


def _module(_: str, text: str) -> Iterator[Reference]:
    for match in _MODULE.finditer(text):
        yield (match[1].replace("::", "/").replace(".", "/"),)


def _ends(parts: list[str]) -> list[str]:
    return ["/".join(parts[start:]) for start in range(len(parts))]


# Languages that refer to each other's files share a finder.
_FINDERS: Final[Mapping[str, Finder]] = {
    **dict.fromkeys(("Python", "Cython"), _python),
    **dict.fromkeys(("JavaScript", "TypeScript", "Vue"), _script),
    **dict.fromkeys(("C", "C++", "CUDA", "Objective-C"), _include),
    **dict.fromkeys(("Java", "Kotlin", "Scala", "Groovy"), _jvm),
    **dict.fromkeys(
        ("Protocol Buffers", "Dart", "Solidity", "Julia", "Erlang", "Verilog", "SystemVerilog", "Shell"),
        _named_file,
    ),
    **dict.fromkeys(("Haskell", "Perl"), _module),
    "Go": _go,
    "Rust": _rust,
    "C#": _csharp,
    "PHP": _php,
    "Ruby": _ruby,
    "Lua": _lua,
}


def related(one: str, other: str) -> bool:
    """Tell whether files of two languages can refer to each other."""
    return one == other or (
        one in _FINDERS and _FINDERS[one] is _FINDERS.get(other) and _FINDERS[one] not in _LONERS
    )


_LONERS: Final = frozenset({_named_file, _module})
