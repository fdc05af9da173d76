"""Configuration of audits (`config/audits.yaml`): how much is looked at and shown."""

from pydantic import Field

from phoenix_assets.config import Config, config_dir, load


class AuditConfig(Config):
    """The whole of `config/audits.yaml`."""

    expiring_days: int = Field(ge=0)  # until when a licence must last, unless another time is asked for
    lookalikes: int = Field(ge=1)  # documents that a pasted text is like
    similar_at_least: float = Field(gt=0, le=1)
    shown_rows: int = Field(ge=1)  # of a table on a page
    summary_rows: int = Field(ge=1)  # of a table beside an asset in the UI


def load_audits() -> AuditConfig:
    """Return `config/audits.yaml`."""
    return load(AuditConfig, config_dir() / "audits.yaml")
