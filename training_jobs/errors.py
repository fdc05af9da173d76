"""The errors that training jobs raise. A message names the thing, the value and the next step."""


class TrainingJobError(Exception):
    """Base of every error that a training job raises on purpose."""


class CheckpointError(TrainingJobError):
    """A checkpoint is not whole: its manifest, a file, a size or a hash is missing or wrong."""


class JobConflict(TrainingJobError):
    """A job's state folder belongs to another job, or another trainer holds it."""


class TokenFileError(TrainingJobError):
    """An indexed token file is malformed, or its `.bin` and `.idx` disagree."""


class TrainingDiverged(TrainingJobError):
    """The loss or the gradient stopped being a finite number."""


class OrderPlanError(TrainingJobError):
    """A data-order plan is damaged, belongs to other data, or is too short for what is asked of it."""
