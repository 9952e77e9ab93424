"""What a form sent."""

from __future__ import annotations

from urllib.parse import parse_qsl

import falcon

MOST_BYTES = 64 * 1024
MOST_FIELDS = 100
FORM_TOKEN = "form_token"  # noqa: S105
FORM = "image_cloud.form"  # in the WSGI environment


def form_of(req: falcon.Request) -> dict[str, str]:
    """Return the fields of a form, once read; of a field that came twice, the last."""
    form: dict[str, str] | None = req.env.get(FORM)
    if form is None:
        body = req.bounded_stream.read(MOST_BYTES).decode("utf-8", "replace")
        pairs = body.split("&", MOST_FIELDS)[:MOST_FIELDS]
        form = dict(parse_qsl("&".join(pairs), keep_blank_values=True))
        req.env[FORM] = form
    return form
