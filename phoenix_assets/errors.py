"""The errors Phoenix raises. A message names the thing, the value and the next step."""


class PhoenixError(Exception):
    """Base of every error that Phoenix raises on purpose."""


class ConfigError(PhoenixError):
    """A file under `config/` is missing, malformed or refers to something that does not exist."""


class DeliveryError(PhoenixError):
    """A delivery cannot be taken: its manifest, its files or its licence are not in order."""


class LineageError(PhoenixError):
    """Recorded lineage and the data in the lake disagree, or an input is missing."""


class DamagedIndex(LineageError):
    """A file of a dedup index is missing, or is not what was written."""


class Overtaken(PhoenixError):
    """Somebody else has committed to a table since its inputs were resolved: what was made of them is out of date."""


class ConservationError(PhoenixError):
    """A stage lost or invented documents: rows in differ from rows kept plus rows dropped."""


class RecipeDrift(PhoenixError):
    """A frozen mixture's recipe differs from the one that was recorded."""


class Withdrawn(PhoenixError):
    """A frozen mixture pins data that is not there any more: it was erased, or its files were removed."""


class JobError(PhoenixError):
    """A training job failed, vanished or left no whole checkpoint."""


class DownloadError(PhoenixError):
    """Something cannot be downloaded: its listing, its name or the server's answer is not in order."""


class StorageError(PhoenixError):
    """The storage has no room for what is to be written, or somebody else is writing it."""
