"""Write the client library's exceptions, one for each problem code: the same tree as the server's.

.venv/bin/python -m image_cloud.api.client_errors > client/image_cloud_client/errors.py
"""

from __future__ import annotations

import sys

from image_cloud import errors
from image_cloud.api.problems import OF_THE_SERVER, Problem

HEAD = '''"""Everything that the client raises: a class for each problem code, one tree.

Written by `python -m image_cloud.api.client_errors` from the server's errors.
"""

from __future__ import annotations


class ImageCloudError(Exception):
    """Something went wrong.

    `status` is the HTTP status, None where no answer came, and `upstream_status` that of the picture's
    origin.  `retry_after_s` says in how many seconds to try again.  `request_id` finds the request in the
    node's logs.
    """

    code = "internal"

    def __init__(
        self,
        detail: str = "",
        *,
        status: int | None = None,
        upstream_status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        self.detail = detail or (self.__doc__ or "").partition("\\n")[0]
        self.status = status
        self.upstream_status = upstream_status
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        super().__init__(self.detail)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.detail,), self.__dict__

    def __str__(self) -> str:
        where = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.code}: {self.detail}{where}"


class Unreachable(ImageCloudError):
    """No node can be reached."""

    code = "unreachable"


class UnexpectedAnswer(ImageCloudError):
    """The answer is not one of Image Cloud: a proxy in between, or a wrong address."""

    code = "unexpected_answer"
'''

CLASS = '''

class {name}({parent}):
    """{title}."""

    code = "{code}"
'''

# Of Python's own names, NotImplemented stays what it is.
NAMES = {"not_implemented": "UnsupportedRequest"}

TAIL = '''

def by_code(code: str) -> type[ImageCloudError] | None:
    """Return the class that has `code`, None for a code of a newer server."""
    return _BY_CODE.get(code)


def _below(root: type[ImageCloudError]) -> list[type[ImageCloudError]]:
    return [root, *(found for child in root.__subclasses__() for found in _below(child))]


_BY_CODE = {cls.code: cls for cls in _below(ImageCloudError)}
'''


def text() -> str:
    """Return the module."""
    ours = errors.subclasses()[1:]
    known = {one.code for one in ours}
    parts = [
        CLASS.format(
            name=one.__name__, parent=one.__bases__[0].__name__, title=one.title(), code=one.code
        )
        for one in ours
    ]
    others = {one.code: one for one in OF_THE_SERVER if one.code not in known}
    parts += [_of_the_server(one) for one in others.values()]
    return "".join([HEAD, *parts, TAIL])


def _of_the_server(problem: Problem) -> str:
    name = NAMES.get(problem.code) or problem.code.title().replace("_", "")
    return CLASS.format(name=name, parent="ImageCloudError", title=problem.title, code=problem.code)


if __name__ == "__main__":
    sys.stdout.write(text())
