"""The web side: three pools (front, fetch, control) of one Falcon code base."""

from falcon_app.loading import load_falcon

load_falcon()
