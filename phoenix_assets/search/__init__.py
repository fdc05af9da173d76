"""Mixture searches: small proxy models say which weights a mixture's components should have."""
