"""Near-duplicates: which pictures of the catalogue look like a given one.

It searches for hashes that image_cloud.decoding had made; it never decodes.
"""
