"""A recipe and the tagged sources become a mixture: which documents, how often, in which split."""
