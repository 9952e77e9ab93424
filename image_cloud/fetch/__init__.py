"""The way of one original: disk, then peers, then origin; one download per URL on the node."""
