"""Asks origins whether they have changed a picture that is here; never for the first time."""
