"""/domains: which domains are paused and why; an operator lifts a pause."""

from __future__ import annotations

import falcon

from falcon_app.exchange import query_of
from image_cloud.politeness.overview import DomainParameters, Overview


class PausedDomains:
    """GET /domains: the domains in trouble, or with `domain` that one."""

    scope = "ops"

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """List them."""
        name = DomainParameters(required=False).domain.of(query_of(req))
        found = [self._overview.one(name)] if name else self._overview.all()
        resp.media = {"domains": found}
        resp.set_header("Cache-Control", "no-store")

    on_head = on_get


class ResumeDomain:
    """POST /domains/resume?domain=NAME."""

    scope = "ops"

    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Lift its pause."""
        name = DomainParameters(required=True).domain.of(query_of(req))
        resp.media = self._overview.resume(name)
        resp.set_header("Cache-Control", "no-store")
