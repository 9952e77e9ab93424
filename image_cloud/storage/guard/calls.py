"""Calls in threads of their own: of what may never answer, or answers several at a time."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any


class Call:
    """A call under way; `ended` once there is a result or an error."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.ended = threading.Event()
        self._result: object = None
        self._error: BaseException | None = None
        context = contextvars.copy_context()  # what it logs carries the request's id
        work = threading.Thread(target=context.run, args=(self._run, function), daemon=True)
        work.start()

    def result(self) -> Any:
        """Return what it returned, or raise what it raised, once it has ended."""
        self.ended.wait()
        if self._error:
            raise self._error
        return self._result

    def _run(self, function: Callable[[], object]) -> None:
        try:
            self._result = function()
        except BaseException as error:
            self._error = error
        self.ended.set()


def together(first: Callable[[], Any], *others: Callable[[], Any]) -> list[Any]:
    """Return what the calls return, made at the same time.  Raises what the first failing one does."""
    calls = [Call(other) for other in others]
    return [first(), *(call.result() for call in calls)]
