"""Many requests at once that wait for their answers."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import requests

from tests.frontdoor.client import DEADLINE_S
from tests.stack.running import Stack


class Asking:
    """Asks `path` for every one of `urls`; `sent` and `answers` grow as it goes."""

    def __init__(self, stack: Stack, path: str, urls: Sequence[str], **parameters: Any) -> None:
        self.sent: list[str] = []
        self.answers: list[requests.Response] = []
        self._stack, self._path, self._parameters = stack, path, parameters
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for url in urls]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str) -> None:
        connection = http.client.HTTPConnection(self._stack.listen, timeout=DEADLINE_S)
        target = f"{self._path}?{urlencode({'url': url} | self._parameters)}"
        connection.request("GET", target, headers={"X-Image-Cloud-Token": self._stack.token})
        self.sent.append(url)
        came = connection.getresponse()
        answer = requests.Response()
        answer.status_code, answer._content = came.status, came.read()
        answer.headers.update(came.getheaders())
        self.answers.append(answer)
        connection.close()

    def all_sent(self) -> bool:
        return len(self.sent) == len(self._threads)

    def statuses(self) -> list[int]:
        """Return the statuses in the order of their answers, when all have come."""
        for thread in self._threads:
            thread.join(DEADLINE_S)
        return [one.status_code for one in self.answers]
