"""Files of a repository come after what they need, in every language and whatever the order they were found in."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phoenix_assets.ingest.code_references import references
from phoenix_assets.ingest.dependency_order import SourceFile, dependency_order


def order(files: dict[str, tuple[str, str]]) -> list[str]:
    """Return the order of `files`: path to language and text."""
    return dependency_order(
        [SourceFile(path, lang, references(path, lang, text, 100)) for path, (lang, text) in files.items()],
        100,
    )


def python(**files: str) -> dict[str, tuple[str, str]]:
    return {f"{name.replace('__', '/')}.py": ("Python", text) for name, text in files.items()}


def test_a_python_package_comes_from_its_base_to_its_entry_point() -> None:
    files = {
        "app/main.py": "from app import model, data\nimport os\n",
        "app/data.py": "from . import config as settings\n",
        "app/model.py": "from app.data import (\n    load,  # rows\n    save,\n)\nimport app.config, json\n",
        "app/config.py": "",
        "app/__init__.py": "",
    }
    found = order({path: ("Python", text) for path, text in files.items()})
    assert found == ["app/__init__.py", "app/config.py", "app/data.py", "app/model.py", "app/main.py"]


@pytest.mark.parametrize(
    ("language", "user", "text", "needed"),
    [
        ("JavaScript", "src/a.js", "import x from './lib/z'\n", "src/lib/z.js"),
        ("TypeScript", "src/a.ts", "const z = require('../z')\n", "z/index.ts"),
        ("C", "src/a.c", '#include "z.h"\n#include <stdio.h>\n', "src/z.h"),
        ("C++", "src/a.cpp", "#include <lib/z.hpp>\n", "include/lib/z.hpp"),
        (
            "Java",
            "src/main/java/org/app/A.java",
            "import org.app.util.Z;\n",
            "src/main/java/org/app/util/Z.java",
        ),
        ("Java", "src/org/app/A.java", "import static org.app.util.Z.run;\n", "src/org/app/util/Z.java"),
        ("Kotlin", "src/org/app/A.kt", "import org.app.util.*\n", "src/org/app/util/Z.kt"),
        ("Go", "cmd/a.go", 'import (\n\t"fmt"\n\tz "github.com/me/app/pkg/z"\n)\n', "pkg/z/z.go"),
        ("Rust", "src/a.rs", "use crate::util::z::Thing;\n", "src/util/z.rs"),
        ("Rust", "src/a.rs", "pub mod z;\n", "src/a/z.rs"),
        ("C#", "src/A.cs", "using App.Util;\n", "src/Util/Z.cs"),
        ("PHP", "src/A.php", "use App\\Util\\Z;\n", "src/Util/Z.php"),
        ("PHP", "a.php", "require_once __DIR__ . '/lib/z.php';\n", "lib/z.php"),
        ("Ruby", "lib/a.rb", "require_relative 'util/z'\n", "lib/util/z.rb"),
        ("Lua", "a.lua", 'local z = require("util.z")\n', "util/z.lua"),
        ("Protocol Buffers", "api/a.proto", 'import "common/z.proto";\n', "common/z.proto"),
        ("Haskell", "src/A.hs", "import qualified Data.App.Z as Z\n", "src/Data/App/Z.hs"),
    ],
)
def test_what_is_needed_comes_first_in_every_language(
    language: str, user: str, text: str, needed: str
) -> None:
    assert order({user: (language, text), needed: (language, "")}) == [needed, user]
    assert order({user: (language, ""), needed: (language, "")}) == sorted([user, needed])


def test_the_standard_library_is_not_looked_for_inside_a_package() -> None:
    files = python(a__main="import types\n", a__types="import a.main\n") | {"a/__init__.py": ("Python", "")}
    assert order(files) == ["a/__init__.py", "a/main.py", "a/types.py"]


def test_of_two_files_of_one_name_the_nearer_is_meant() -> None:
    files = python(one__zz__util="", two__aa__util="", one__aa__main="import util\n")
    assert order(files).index("one/zz/util.py") < order(files).index("one/aa/main.py")
    assert order(files)[-1] == "two/aa/util.py"


def test_a_cycle_is_broken_where_fewest_dependencies_are_left_and_stands_before_what_needs_it() -> None:
    files = python(a="import b, c, d\n", b="import c\n", c="import a\n", d="", user="import c\n")
    assert order(files) == ["d.py", "c.py", "b.py", "a.py", "user.py"]


def test_a_long_chain_needs_no_recursion() -> None:
    files = python(**{f"m{number:05d}": f"import m{number + 1:05d}\n" for number in range(20_000)})
    assert order(files)[:2] == ["m19999.py", "m19998.py"]


def test_broken_and_endless_lines_are_no_trouble() -> None:
    hostile = [
        "from x import (" * 20_000,
        "import " + "a." * 100_000,
        "import ,,;\nfrom . import\n",
        "#include " * 9,
    ]
    for language in ("Python", "JavaScript", "C", "Java", "Go", "Rust", "C#", "PHP", "Ruby", "Lua", "Shell"):
        for text in hostile:
            assert order({"a": (language, text)}) == ["a"]


graphs = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=30)


@given(graphs, st.randoms(use_true_random=False))
def test_every_file_comes_once_whatever_the_order_they_are_found_in(
    edges: list[tuple[int, int]], shuffle: random.Random
) -> None:
    files = python(
        **{f"m{user}": "".join(f"import m{b}\n" for a, b in edges if a == user) for user in range(8)}
    )
    names = list(files)
    shuffle.shuffle(names)
    found = order(files)
    assert sorted(found) == sorted(files)
    assert order({name: files[name] for name in names}) == found


@given(graphs)
def test_without_cycles_every_dependency_is_kept(edges: list[tuple[int, int]]) -> None:
    downward = {(max(edge), min(edge)) for edge in edges if edge[0] != edge[1]}
    files = python(
        **{
            f"m{user}": "".join(f"import m{b}\n" for a, b in sorted(downward) if a == user)
            for user in range(8)
        }
    )
    place = {path: at for at, path in enumerate(order(files))}
    assert all(place[f"m{needed}.py"] < place[f"m{user}.py"] for user, needed in downward)
