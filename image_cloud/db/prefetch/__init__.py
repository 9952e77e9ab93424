"""The prefetch queue and its batches: taking in, working off, counts, cancelling, retrying, callbacks."""
