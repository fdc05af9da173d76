"""Where every token came from: lineage queries over the lake, verified against the data."""
