"""The web side: four pools (front, fetch, control, resize) of one Falcon code base."""
