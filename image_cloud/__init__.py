"""What the web side, the daemons and the command line of Image Cloud share."""

__version__ = "1.0.0"
