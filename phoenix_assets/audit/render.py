"""Audits as text for a terminal."""

from typing import Any


def checkpoint_text(audit: dict[str, Any]) -> str:
    """Return the audit of a checkpoint as a page of text."""
    checkpoint = audit["checkpoint"]
    lines = [
        f"{checkpoint['experiment']} at step {checkpoint['step']}: {checkpoint['tokens_seen']:,} tokens seen, "
        f"version {checkpoint['data_version']}",
        "",
        f"{'delivery':<38}{'documents seen':>15}{'tokens seen':>14}  licence (expires)",
    ]
    for row in audit["deliveries"]:
        terms = ", ".join(f"{term['licence']} ({term['expires'] or 'never'})" for term in row["licences"])
        name = f"{row['source']}/{row['delivery']}"
        lines.append(f"{name:<38}{row['documents_seen']:>15,}{row['tokens_seen']:>14,}  {terms}")
    lines += ["", "code versions"]
    lines += [f"  {asset}: {', '.join(versions)}" for asset, versions in audit["code_versions"].items()]
    lines += ["", "rules and settings (whole values with --json)"]
    lines += [
        f"  {rule['asset']}: {', '.join(rule['config'])} [{rule['config_digest']}]" for rule in audit["rules"]
    ]
    verification = audit["verification"]
    if verification is not None:
        verdict = "agrees with the lake" if verification["passed"] else "DOES NOT AGREE WITH THE LAKE"
        lines += [
            "",
            f"verified: {verdict} ({verification['partitions']} records, {verification['rows']:,} rows, "
            f"{verification['files']} files recomputed)",
            *(f"  {problem}" for problem in verification["problems"]),
        ]
    return "\n".join(lines)


def document_text(audit: dict[str, Any]) -> str:
    """Return the audit of a document as a page of text."""
    lines = [
        f"{audit['doc_id']}  {audit['source']}/{audit['delivery']}",
        f"{audit.get('locator', '')}  {audit.get('url', '')}  {audit.get('title', '')}".rstrip(),
        "",
    ]
    for row in audit["stages"]:
        verdict = "kept" if row["kept"] else f"DROPPED: {row['drop_reason']}"
        lines.append(f"{row['stage']:<12}{verdict}  ({row['chars_in']} → {row['chars_out']} characters)")
        for rule in row["rules"]:
            value = "–" if rule["value"] is None else f"{rule['value']:.6g}"
            lines.append(f"    {'ok  ' if rule['holds'] else 'FAIL'} {rule['rule']:<44}{value}")
    if audit["survivor"]:
        survivor = audit["survivor"]
        lines.append(
            f"duplicate of {survivor['doc_id']}: {survivor.get('delivery', '')} {survivor.get('locator', '')}"
        )
    lines += [
        f"also present as {twin['doc_id']} in {twin['source']}/{twin['delivery']} ({twin['granularity']}, "
        f"similarity {twin['similarity']:.2f})"
        for twin in audit["twins"]
    ]
    lines += [
        f"{row['passages']} {row['level']} also in {row['doc_id']} in {row['source']}/{row['delivery']}"
        for row in audit["lost_passages"]
    ]
    for row in audit["mixtures"]:
        fate = (
            f"{row['split']}, {row['copies']} copies, component {row['component']}"
            if row["kept"]
            else row["drop_reason"]
        )
        lines.append(f"{row['mixture']}: {fate}")
    lines += [
        f"{row['run']}: tokens {row['token_offset']}–{row['token_offset'] + row['tokens']} of shard {row['shard']}, "
        f"seen in steps {', '.join(map(str, row['steps'])) or 'none'}"
        for row in audit["training"]
    ]
    return "\n".join(lines)


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
