"""Commands about batches: `prefetch`, `batches`, `cancel`, `retry`."""
