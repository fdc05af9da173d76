"""The errors Phoenix raises. A message names the thing, the value and the next step."""


class PhoenixError(Exception):
    """Base of every error that Phoenix raises on purpose."""


class ConfigError(PhoenixError):
    """A file under `config/` is missing, malformed or refers to something that does not exist."""


class DeliveryError(PhoenixError):
    """A delivery cannot be taken: its manifest, its files or its licence are not in order."""


class LineageError(PhoenixError):
    """Recorded lineage and the data in the lake disagree, or an input is missing."""


class ConservationError(PhoenixError):
    """A stage lost or invented documents: rows in differ from rows kept plus rows dropped."""


class RecipeDrift(PhoenixError):
    """A frozen mixture's recipe differs from the one that was recorded."""


class JobError(PhoenixError):
    """A training job failed, vanished or left no whole checkpoint."""


class DownloadError(PhoenixError):
    """Something cannot be downloaded: its listing, its name or the server's answer is not in order."""


class StorageError(PhoenixError):
    """The storage has no room for what is to be written, or somebody else is writing it."""
