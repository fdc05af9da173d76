"""What stands behind a mixture, a checkpoint or an evaluation, as a page beside the asset in the UI."""

import dagster as dg

from phoenix_assets.audit.config import load_audits
from phoenix_assets.audit.page import page_markdown
from phoenix_assets.audit.upstream import audit_checkpoint, audit_evaluation, audit_mixture
from phoenix_assets.audit.upstream_pages import upstream_page
from phoenix_assets.errors import LineageError
from phoenix_assets.lineage import StoredRecord
from resources.ledger import LineageLedger


def audit_summary(ledger: LineageLedger, stored: StoredRecord) -> dg.MarkdownMetadataValue:
    """Return the audit of what was just committed; `phoenix audit` also verifies it."""
    record = stored.record
    room, _, name = record.asset.partition("/")
    try:
        if room == "mix":
            found = audit_mixture(ledger.lake, ledger, f"{name}@{record.data_version}", verified=False)
        else:
            audit = {"checkpoints": audit_checkpoint, "eval": audit_evaluation}[room]
            step = int(record.partition.removeprefix("step-"))
            found = audit(ledger.lake, ledger, name, step, verified=False)
    except LineageError as error:  # what was made is made: it is for people to look at
        return dg.MetadataValue.md(f"`phoenix audit` cannot say what stands behind it: {error}")
    return dg.MetadataValue.md(page_markdown(upstream_page(found), load_audits().summary_rows))
