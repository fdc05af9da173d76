"""Exact and near duplicates are found over all sources of a group; one copy of each stays."""
