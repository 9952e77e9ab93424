"""Pages as HTML: what stands in a template is escaped, and a name that nobody set is an error."""

from __future__ import annotations

import functools
import time
from typing import Any

import falcon
import jinja2
from markupsafe import Markup

from falcon_app.pages.forms import FORM_TOKEN
from image_cloud import __version__
from image_cloud.pages import people
from image_cloud.pages.sessions import Session, form_token

# Address and title of each page, in the order of the navigation.
NAVIGATION = (
    ("/", "Overview"),
    ("/pages/domains", "Domains"),
    ("/pages/prefetch", "Prefetch"),
    ("/pages/cloning", "Cloning"),
    ("/pages/clients", "Clients"),
    ("/pages/picture", "Picture"),
    ("/pages/playground", "Playground"),
    ("/docs", "API"),
)
FILTERS = {
    "ago": people.ago,
    "size": people.size,
    "count": people.count,
    "share": people.share,
    "clock_time": people.clock_time,
}


class Renderer:
    """Fills templates for the pages of the node called `node`."""

    def __init__(self, node: str) -> None:
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("falcon_app.pages"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters.update(FILTERS)
        self._environment.globals.update(
            node=node, version=__version__, navigation=NAVIGATION, people=people
        )

    def page(
        self, req: falcon.Request, resp: falcon.Response, template: str, **values: Any
    ) -> None:
        """Answer with `template`; what every page needs of the request is added to `values`."""
        session: Session | None = req.context.session
        resp.content_type = "text/html; charset=utf-8"
        resp.text = self._environment.get_template(template).render(
            path=req.path,
            now=time.time(),
            client=session.client.name if session else "",
            scopes=session.client.scopes if session else (),
            token_field=functools.partial(_field, form_token(req.context.cookie)),
            **values,
        )


def _field(token: str) -> Markup:
    """Return the field that each form has."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FORM_TOKEN, token)
