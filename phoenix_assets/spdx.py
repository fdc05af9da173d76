"""Licence identifiers: those of the SPDX list, and a vendor's own as `LicenseRef-…`."""

import difflib
import functools
import re
from typing import Final

_OWN: Final = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")


def licence_id(typed: str) -> str:
    """Return `typed` if it is a licence identifier. Raises ValueError, which says what may have been meant."""
    if typed in spdx_ids() or _OWN.fullmatch(typed):
        return typed
    same = [known for known in spdx_ids() if known.lower() == typed.lower()]
    near = same or difflib.get_close_matches(typed, spdx_ids(), n=3)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise ValueError(
        f"{typed!r} is not on the SPDX licence list (https://spdx.org/licenses){meant} A licence of your own is called"
        " LicenseRef-<name>"
    )


@functools.cache
def spdx_ids() -> frozenset[str]:
    """Return every identifier of the SPDX licence list, without those of exceptions."""
    from license_expression import get_license_index

    return frozenset(
        key
        for licence in get_license_index()
        if not licence["is_exception"]
        for key in (licence["spdx_license_key"], *licence["other_spdx_license_keys"])
        if key and not key.startswith("LicenseRef-")
    )
