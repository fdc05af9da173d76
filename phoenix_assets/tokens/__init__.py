"""A mixture becomes Megatron token shards with a trace index from token to document, and a run's order of them."""
