"""What a data-order plan is made from: the trace index of the tokens, and what their mixture knows of the documents.

All of it is read at exactly the versions that the tokens were made from, and named as inputs of the plan.
"""

from typing import Any

import polars as pl

from phoenix_assets.order.belonging import BELONGING, belonging, of_rows
from phoenix_assets.order.config import DataOrder
from phoenix_assets.order.similarity import similarity_places
from phoenix_assets.order.stream import Belonging, Corpus
from phoenix_assets.tokens.trace import TraceIndex
from resources.build import Build
from resources.token_inputs import tagged_inputs, trace_index


def order_corpus(build: Build, order: DataOrder) -> Corpus:
    """Return what the plan needs to know of the documents; adds what it reads to the build's inputs."""
    tokens = build.input(order.tokens)
    trace = trace_index(build, tokens, "train")
    made_from = build.ledger.record_of(tokens).record.inputs
    (mixture,) = (source for source in made_from if source.asset == f"mix/{order.mixture}")
    build.inputs = (*build.inputs, mixture)
    recipe: Any = build.ledger.record_of(mixture).record.config["recipe"]
    similar = order.options.similar
    return Corpus(
        lengths=trace.lengths(),
        origins=trace.codes(),
        kinds=trace.origins,
        max_epochs={name: part["max_epochs"] for name, part in recipe["components"].items()},
        belonging=_belonging(build, order, trace),
        similarity=None if similar is None else similarity_places(trace.prefixes, similar, order.seed),
    )


def _belonging(build: Build, order: DataOrder, trace: TraceIndex) -> Belonging | None:
    """Return what the documents that `whole` and `groups` name belong to, from the tagged documents themselves."""
    asked = [option for option in (order.options.whole, order.options.groups) if option is not None]
    if not asked:
        return None
    mixture = f"mix/{order.mixture}"
    tagged = tagged_inputs(build, mixture)
    build.inputs = (*build.inputs, *tagged)
    documents = pl.concat(
        build.lake.read(source).select("doc_id", "source", "delivery", "locator", "meta") for source in tagged
    )
    found = [BELONGING.to_frame()]
    for option in asked:
        chosen = build.read(mixture).filter(pl.col("component").is_in(option.components)).select("doc_id")
        found.append(belonging(documents.join(chosen, on="doc_id", how="semi"), option.by).collect())
    return of_rows(trace.doc_ids_by_shard(), pl.concat(found))
