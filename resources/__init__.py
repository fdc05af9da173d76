"""What assets reach the outside with: the lake, the lineage ledger, the compute engine, the job launcher."""
