"""Licences are recognised by their text or by what a file declares.

The texts are the licence files of installed packages: what people really write, with their names and wrapping in it.
"""

from importlib.metadata import distribution

import pytest

from phoenix_assets.ingest.config import ReaderLimits
from phoenix_assets.ingest.licences import (
    UNRECOGNISED,
    declared_licence,
    governing_licence,
    is_licence_file,
    licence_of_text,
)


def licence_file(package: str, name: str) -> str:
    return next(path for path in distribution(package).files or [] if path.name == name).read_text()


@pytest.mark.parametrize(
    ("package", "file", "spdx"),
    [
        ("dagster", "LICENSE", "Apache-2.0"),
        ("pydantic", "LICENSE", "MIT"),
        ("click", "LICENSE.txt", "BSD-3-Clause"),
        ("pytest", "LICENSE", "MIT"),
        ("hypothesis", "LICENSE.txt", "MPL-2.0"),
        ("typing_extensions", "LICENSE", UNRECOGNISED),  # the long history of Python's
    ],
)
def test_licences_of_well_known_packages_are_recognised(
    package: str, file: str, spdx: str, limits: ReaderLimits
) -> None:
    assert licence_of_text(licence_file(package, file), limits.code.licence_likeness) == spdx


def test_another_holder_and_other_line_breaks_are_the_same_licence(limits: ReaderLimits) -> None:
    text = licence_file("pydantic", "LICENSE")
    other = "Copyright (c) 1999 某某公司. All rights reserved.\n\n" + " ".join(
        text[text.index("Permission") :].split("\n")
    )
    assert licence_of_text(other, limits.code.licence_likeness) == "MIT"


def test_prose_is_no_known_licence_and_a_pointer_none_at_all(limits: ReaderLimits) -> None:
    prose = (
        "You may look at this program on Tuesdays, but only if it rains and nobody else is there. "
        + " ".join(f"Clause {number} says nothing new." for number in range(90))
    )
    assert licence_of_text(prose, limits.code.licence_likeness) == UNRECOGNISED
    assert licence_of_text("See LICENSE.APACHE or LICENSE.BSD.", limits.code.licence_likeness) == ""


@pytest.mark.parametrize(
    ("head", "spdx"),
    [
        ("// SPDX-License-Identifier: MIT\n", "MIT"),
        ("/* SPDX-License-Identifier: (GPL-2.0-only OR  BSD-3-Clause) */", "(GPL-2.0-only OR BSD-3-Clause)"),
        (
            "# SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note\nimport os",
            "GPL-2.0 WITH Linux-syscall-note",
        ),
        ("# MIT licensed\n", ""),
        ("x" * 5000 + "SPDX-License-Identifier: MIT", ""),
    ],
)
def test_a_file_declares_its_licence_in_its_head(head: str, spdx: str) -> None:
    assert declared_licence(head) == spdx


@pytest.mark.parametrize(
    ("path", "language", "is_one"),
    [
        ("r/LICENSE", None, True),
        ("r/licence.md", "Markdown", True),
        ("r/COPYING.LESSER", None, True),
        ("r/LICENSE-APACHE", None, True),
        ("r/UNLICENSE", None, True),
        ("r/LICENSES/CC0-1.0.txt", None, True),
        ("r/license.py", "Python", False),
        ("r/relicensing_plan.txt", None, False),
        ("r/README.md", "Markdown", False),
    ],
)
def test_licence_files_are_known_by_name(path: str, language: str | None, is_one: bool) -> None:
    assert is_licence_file(path, language) == is_one


def test_the_nearest_folder_governs_and_several_licences_all_apply() -> None:
    by_folder = {"r": ["Apache-2.0", "MIT", "MIT"], "r/lib": ["Zlib"], "": ["ISC"]}
    assert governing_licence("r/lib/deep/a.c", by_folder) == "Zlib"
    assert governing_licence("r/src/a.c", by_folder) == "Apache-2.0 AND MIT"
    assert governing_licence("a.c", by_folder) == "ISC"
    assert governing_licence("a.c", {}) == ""
