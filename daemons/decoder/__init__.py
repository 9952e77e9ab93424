"""The decoder: turns the bytes of originals into those of variants, in a sandbox; it touches no storage."""
