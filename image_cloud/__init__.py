"""What the web side, the daemons and the command line of Image Cloud share."""

from image_cloud.loading import postpone

# dataclasses wants inspect for classes without a docstring, psycopg2 wants ssl for OpenSSL 1.0, and TLS waits
# for the first https://.
postpone("inspect", "ssl")

__version__ = "1.0.0"
