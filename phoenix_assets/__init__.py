"""Phoenix: raw crawls and purchased data become versioned pretraining corpora, training runs and evaluations.

One room per stage, in the order data flows: `ingest`, `clean`, `dedup`, `tag`, `mix`, `tokens`, `train`,
`evaluate`, `audit`. In a room `assets.py` and `checks.py` declare and wire; every other module is a kernel, a
pure function over Arrow or Polars data. `schema.py` holds what the rooms hand to each other.
"""
