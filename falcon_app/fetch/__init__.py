"""The fetch pool: downloads what is not on disk, and answers what needs the database."""
