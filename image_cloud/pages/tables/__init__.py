"""What the pages Domains, Prefetch, Cloning and Clients tell: rows of texts and shares, without HTML."""
