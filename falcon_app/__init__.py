"""The web side: four pools (front, fetch, intake, resize) of one Falcon code base."""
