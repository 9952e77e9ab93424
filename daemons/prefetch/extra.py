"""The further download processes: started when the first one is busy, ended when there is nothing to do."""

from __future__ import annotations

import time
from collections.abc import Callable

from daemons.prefetch.dispatcher import Dispatcher

LONGEST_IDLE_S = 120.0
CALL_AGAIN_S = 1.0


class First:
    """The first process's dispatcher, which calls for the others (`call`) when it has much to do."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        call: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.idle_s = dispatcher.idle_s
        self.finish = dispatcher.finish
        self._dispatcher = dispatcher
        self._call = call
        self._clock = clock
        self._called = float("-inf")

    def step(self) -> bool:
        """Do a step."""
        worked = self._dispatcher.step()
        if self._dispatcher.is_busy() and self._clock() > self._called + CALL_AGAIN_S:
            self._called = self._clock()
            self._call()
        return worked


class Extra:
    """The dispatcher of a further process, which ends it (`end`) after LONGEST_IDLE_S without work."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        end: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.idle_s = dispatcher.idle_s
        self.finish = dispatcher.finish
        self._dispatcher = dispatcher
        self._end = end
        self._clock = clock
        self._worked = clock()

    def step(self) -> bool:
        """Do a step."""
        worked = self._dispatcher.step()
        if worked:
            self._worked = self._clock()
        elif self._clock() > self._worked + LONGEST_IDLE_S:
            self._end()
        return worked
