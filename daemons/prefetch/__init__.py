"""The prefetch daemon."""
