"""Boilerplate: short lines where a text begins and ends that belong to a site, not to what it says."""

from typing import Final

import numpy as np
import numpy.typing as npt

from phoenix_assets.dedup.passages.config import BoilerplateConfig
from phoenix_assets.dedup.passages.joining import excerpts
from phoenix_assets.dedup.passages.split import Passages

KERNEL_VERSION: Final = "1"


def is_boilerplate(passages: Passages, edge: int, config: BoilerplateConfig) -> npt.NDArray[np.bool_]:
    """Return which of the first and last `edge` passages of each text a pattern of `config` describes.

    A pattern describes a passage when it matches somewhere in it, without regard to case.
    """
    found = np.zeros(len(passages.starts), np.bool_)
    looked_at = passages.at_edges(edge, edge) & (passages.letters > 0)
    lines = excerpts(passages, looked_at).str.strip_chars()
    expressions = [expression for kind in config.patterns.values() for expression in kind]
    if len(lines) and expressions:
        pattern = "(?i)" + "|".join(f"(?:{expression})" for expression in expressions)
        short = lines.str.len_chars() <= config.max_characters
        found[looked_at] = (short & lines.str.contains(pattern)).to_numpy()
    return found
