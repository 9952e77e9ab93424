"""What the web side, the daemons and the command line of Image Cloud share."""

__version__ = "0.1.0"
