"""Our scores of tokenised lines under a KenLM model; `bench/ours/line_scores_binding.py` asks KenLM's binding for them."""

from pathlib import Path
from typing import Any

from bench.documents import read_texts


def tokenized(params: dict[str, Any]) -> Any:
    """Return the tokenised lines of the documents."""
    import polars as pl

    from phoenix_assets.clean.perplexity import tokenize
    from phoenix_assets.clean.profiles import load_profile

    texts = pl.Series(read_texts(params["documents"], params["lang"]))
    most = load_profile("default").parameters.perplexity_characters
    return tokenize(texts, params["lang"], max_chars=most)


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Tokenise the documents, load the model, compile the kernel."""
    from phoenix_assets.clean.scorers import load_scorer

    state = {"lines": tokenized(params), "scorer": load_scorer(Path(params["kenlm"][params["lang"]]))}
    run(state)
    return state


def run(state: dict[str, Any]) -> Any:
    """Return a score a line."""
    return state["scorer"].log10(state["lines"])


def report(state: dict[str, Any], result: Any) -> dict[str, Any]:
    """Return the documents, the tokens that were scored, with the ends of lines, and the sum of all scores."""
    lines = state["lines"]
    tokens = int(lines.tokens.sum()) + len(lines.tokens)
    return {"documents": len(set(lines.document.tolist())), "tokens": tokens, "sum": float(result.sum())}
