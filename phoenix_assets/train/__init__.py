"""Experiments: a tokenised mixture and a model size become a training job and its checkpoints."""
