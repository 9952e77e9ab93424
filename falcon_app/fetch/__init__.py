"""The fetch pool: downloads what is not on disk."""
