"""Whole stores: into this node, and out of it."""
