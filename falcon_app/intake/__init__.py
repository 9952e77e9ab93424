"""The intake pool: takes lists of URLs."""
