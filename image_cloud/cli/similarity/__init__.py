"""Commands about what pictures look like."""
