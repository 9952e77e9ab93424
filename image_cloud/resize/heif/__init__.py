"""Decode HEIF files (AVIF, HEIC): only the picture that is shown, checked before the codecs see it."""
