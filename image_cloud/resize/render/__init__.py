"""Derives the pixels of a variant from a decoded picture: trimmed, cut, resampled, upright, on its canvas."""
