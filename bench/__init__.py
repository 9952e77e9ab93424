"""`make bench`: Image Cloud beside bare nginx, a PIL loop and its peers, all in one run."""
