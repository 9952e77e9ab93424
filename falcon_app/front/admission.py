"""Front pool: may this client send a body?  nginx asks before it reads one."""

from __future__ import annotations

import falcon

from image_cloud.errors import Busy, ScopeMissing

SENDERS = ("prefetch", "ops")


class Admission:
    """GET /_admission: 204 where the body of a request to /fire_and_forget may come."""

    scope = None
    internal = True

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Refuse clients that may not use /fire_and_forget at all."""
        _check(req)
        resp.status = falcon.HTTP_204


class NotAdmitted:
    """/fire_and_forget, where /_admission refused it or gave no answer: the reason in full."""

    scope = None

    def on_post(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Say why."""
        _check(req)
        raise Busy("the token could not be checked a moment ago; try again")

    on_get = on_head = on_delete = on_put = on_patch = on_options = on_post


def _check(req: falcon.Request) -> None:
    if not set(SENDERS) & set(req.context.scopes):
        raise ScopeMissing("the scope prefetch is needed here")
