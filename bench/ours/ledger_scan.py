"""The same documents' ledger rows by DuckDB, from all ledgers, as one would ask without an index."""

from typing import Any

from bench.ours.audit_document import prepare

__all__ = ["prepare", "report", "run"]


def run(state: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return the rows of the documents; all are asked for at once, which is a favour."""
    import duckdb

    files = str(state["lake"].root / "ledger" / "**" / "*.parquet")
    query = "select * from read_parquet(?, hive_partitioning = false) where doc_id in (select unnest(?::varchar[]))"
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        return connection.execute(query, [files, state["doc_ids"]]).fetchall()


def report(state: dict[str, Any], result: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Return how many documents were asked for, and in how many ledgers they are."""
    return {"documents": len(state["doc_ids"]), "ledgers": len(result)}
