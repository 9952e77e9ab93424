"""What one picture is: its URL and key, the names of its variants, its format, and its record.

Nothing here does I/O on storage.
"""
