"""The clean-up daemon."""
