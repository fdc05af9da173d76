"""The trace of training steps as text for a terminal."""

from typing import Any


def steps_text(trace: dict[str, Any]) -> str:
    """Return the trace of training steps as a page of text."""
    first, last = trace["steps"]
    lines = [
        f"{trace['experiment']}, steps {first} to {last}",
        "",
        f"{'delivery':<38}{'documents':>10}{'tokens':>12}  licence",
    ]
    for row in trace["deliveries"]:
        name = f"{row['source']}/{row['delivery']}"
        lines.append(f"{name:<38}{row['documents']:>10,}{row['tokens']:>12,}  {row['licence']}")
    lines += ["", f"{'step':>8}{'sequence':>9}{'offset':>7}{'tokens':>7}  document (from its token)"]
    lines += [
        f"{row['step']:>8}{row['sequence']:>9}{row['offset']:>7}{row['tokens']:>7}  "
        f"{row['doc_id']} ({row['document_offset']})  {row['source']}/{row['delivery']}"
        for row in trace["spans"]
    ]
    return "\n".join(lines)
