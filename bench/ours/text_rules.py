"""Our rules over text alone: the funnel without language identification and perplexity."""

from typing import Any

from bench.documents import read_texts


def prepare(params: dict[str, Any]) -> dict[str, Any]:
    """Read the documents, load the word lists, compile the kernels."""
    import polars as pl

    from phoenix_assets.clean import wordlists
    from phoenix_assets.clean.profiles import load_profile

    parameters = load_profile("default").parameters
    texts = pl.Series(read_texts(params["documents"], params["lang"]))
    state = {
        "texts": texts,
        "langs": pl.Series([params["lang"]]).new_from_index(0, len(texts)),
        "parameters": parameters,
        "lexicon": wordlists.lexicon(parameters),
    }
    run({**state, "texts": texts.head(10), "langs": state["langs"].head(10)})
    return state


def run(state: dict[str, Any]) -> Any:
    """Return the rules' values, one row a document."""
    from phoenix_assets.clean.buffers import codepoints
    from phoenix_assets.clean.text_rules import text_rules

    return text_rules(codepoints(state["texts"]), state["langs"], state["lexicon"], state["parameters"])


def report(state: dict[str, Any], result: Any) -> dict[str, Any]:
    """Return the values whose definition agrees with Data-Juicer's."""
    return {"documents": result.height, "values": {name: result[name].to_list() for name in result.columns}}
