"""What is so right now on this node, looked up for each scrape; no query, and no walk over pictures."""
