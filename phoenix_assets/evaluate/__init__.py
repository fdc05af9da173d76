"""Checkpoints become figures: recall, perplexity, bits per character, the leaderboard."""
