"""What a batch of URLs is, from the request body to rows, and what its client learns of it.

Nothing here downloads.
"""
