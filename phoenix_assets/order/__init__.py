"""Token shards become the order of a run: which sequence when, and how often a document may come."""
