"""The web side: three pools (front, fetch, control) of one Falcon code base."""
