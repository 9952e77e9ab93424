"""The cloning daemon."""
