"""Asking a stack as its users do."""

from __future__ import annotations

import hashlib
import http.client
import io
import time
from collections.abc import Callable
from typing import Any

import requests
from PIL import Image

from image_cloud.picture.headers.entity_tag import entity_tag
from image_cloud.resize.heif import codecs
from tests.stack.running import Stack

codecs.load()  # tests open AVIF and HEIC, too

DEADLINE_S = 90.0


def get(stack: Stack, path: str, method: str = "GET", **parameters: Any) -> requests.Response:
    headers = parameters.pop("headers", {}) | {"X-Image-Cloud-Token": stack.token}
    body = parameters.pop("json", None)
    return requests.request(
        method, stack.url + path, params=parameters, json=body, headers=headers, timeout=DEADLINE_S
    )


def get_raw(stack: Stack, target: str, token: str | None = None) -> requests.Response:
    """Ask for `target` as it stands: requests and urllib3 would mend its escapes."""
    connection = http.client.HTTPConnection(stack.listen, timeout=DEADLINE_S)
    connection.putrequest("GET", target, skip_accept_encoding=True)
    connection.putheader("X-Image-Cloud-Token", token or stack.token)
    connection.endheaders()
    came = connection.getresponse()
    answer = requests.Response()
    answer.status_code, answer._content = came.status, came.read()
    answer.headers.update(came.getheaders())
    connection.close()
    return answer


def tag_of(content: bytes) -> str:
    """Return the ETag of these bytes."""
    return entity_tag(hashlib.sha256(content).hexdigest(), len(content))


def picture(answer: requests.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    image = Image.open(io.BytesIO(answer.content))
    image.load()
    return image


def problem(answer: requests.Response, status: int, code: str) -> dict[str, Any]:
    """Check that `answer` is that problem document, in every respect that all have in common."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (
        status, "application/problem+json",
    ), answer.text  # fmt: skip
    body: dict[str, Any] = answer.json()
    assert (body["status"], body["code"]) == (status, code), body
    assert {"type", "title", "detail", "request_id"} <= set(body)
    assert body["request_id"] == answer.headers["X-Request-Id"]
    assert answer.headers["Cache-Control"] == "no-store"
    return body


def eventually(condition: Callable[[], Any], what: str, within_s: float = DEADLINE_S) -> Any:
    """Return the first true value of `condition`; fail after a deadline."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.05)
    return value


def jpeg(width: int = 640, height: int = 480, seed: int = 0, **options: Any) -> bytes:
    """Return a JPEG that no other seed gives."""
    box = (-2.0 + seed / 1000, -1.2, 1.0, 1.2)
    image = Image.merge(
        "RGB", [Image.effect_mandelbrot((width, height), box, n) for n in (20, 40, 80)]
    )
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()
