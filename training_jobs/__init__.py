"""Programs that run outside the Dagster process: the supervisor and the NeMo training job."""
