"""The one place where an error of the storage becomes StorageUnavailable."""

from __future__ import annotations

import types
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, TypeVar, cast

from image_cloud.errors import StorageUnavailable
from image_cloud.storage.guard.calls import Call
from image_cloud.storage.guard.pulse import Pulse
from image_cloud.storage.guard.trouble import is_trouble, silent, unavailable

T = TypeVar("T")
LOOK_EVERY_S = 0.25
LONGEST_S = 60.0
"""For a storage that answers, but not this."""
_END = object()


class Guard:
    """Runs what touches the storage.  With a `pulse` nobody waits for a storage that does not answer."""

    def __init__(self, pulse: Pulse | None = None) -> None:
        self._pulse = pulse

    def run(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Return what `function` returns.

        Raises StorageUnavailable where the storage has trouble or stays silent, and what `function` raises.
        """
        try:
            if self._pulse is None:
                return function(*arguments, **named)
            return self._run_apart(self._pulse, function, *arguments, **named)
        except OSError as error:
            if is_trouble(error):
                raise unavailable(error) from error
            raise

    def start(self, function: Callable[[], object]) -> None:
        """Call `function`, and do not wait for a storage that may not answer.

        Raises StorageUnavailable where it has trouble at once.
        """
        if self._pulse is None:
            self.run(function)
        else:
            Call(function)

    def ask(self, default: T, function: Callable[..., T], *arguments: Any) -> T:
        """Return what `function` returns, `default` where the storage cannot tell."""
        try:
            return self.run(function, *arguments)
        except (OSError, StorageUnavailable):
            return default

    def iterate(self, values: Generator[T, None, None]) -> Iterator[T]:
        """Yield the `values`, each of which may touch the storage, as may their end."""
        try:
            while (value := self.run(next, values, _END)) is not _END:
                yield cast(T, value)
        finally:
            self.ask(None, values.close)

    def _run_apart(
        self, pulse: Pulse, function: Callable[..., T], *arguments: Any, **named: Any
    ) -> T:
        """Run it in a thread of its own, which is left alone if the storage falls silent."""
        pulse.check()
        call = Call(lambda: function(*arguments, **named))
        for _ in range(int(LONGEST_S / LOOK_EVERY_S)):
            if call.ended.wait(LOOK_EVERY_S):
                return cast(T, call.result())
            pulse.check()
        raise silent()


def guarded(thing: T, guard: Guard, parts: Mapping[str, object] | None = None) -> T:
    """Return `thing` with its methods run by `guard`, and `parts` in the place of some of its attributes."""
    return cast(T, _Guarded(thing, guard, parts or {}))


class _Guarded:
    def __init__(self, thing: object, guard: Guard, parts: Mapping[str, object]) -> None:
        self._thing = thing
        self._guard = guard
        self.__dict__.update(parts)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._thing, name)
        if isinstance(value, types.MethodType):
            value = self.__dict__[name] = self._guarded(value)
        return value

    def _guarded(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            result = self._guard.run(method, *arguments, **named)
            if isinstance(result, types.GeneratorType):
                return self._guard.iterate(result)
            return result

        return run
