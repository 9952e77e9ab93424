"""Image Cloud for tools of the trade: fsspec, and img2dataset."""
