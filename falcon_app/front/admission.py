"""Front pool: may this client send a body?  nginx asks before it reads one."""

from __future__ import annotations

import falcon

from image_cloud.errors import Busy, ScopeMissing

BATCH_SENDERS, PEERS = ("prefetch", "ops"), ("peer",)


class Admission:
    """GET /_admission and its like: 204 where a request's body may come."""

    scope = None
    internal = True

    def __init__(self, senders: tuple[str, ...]) -> None:
        self._senders = senders

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Refuse clients that may not use that address at all."""
        _check(req, self._senders)
        resp.status = falcon.HTTP_204


class NotAdmitted:
    """What takes a body, where Admission refused it or gave no answer: the reason in full."""

    scope = None

    def __init__(self, senders: tuple[str, ...]) -> None:
        self._senders = senders

    def on_post(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Say why."""
        _check(req, self._senders)
        raise Busy("the token could not be checked a moment ago; try again")

    on_get = on_head = on_delete = on_put = on_patch = on_options = on_post


def _check(req: falcon.Request, senders: tuple[str, ...]) -> None:
    if not set(senders) & set(req.context.scopes):
        raise ScopeMissing(f"the scope {senders[0]} is needed here")
