"""The web side: three pools (front, fetch, resize) of one Falcon code base."""
