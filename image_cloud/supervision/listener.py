"""supervisord's protocol for event listeners, on stdin and stdout.

supervisor.childutils speaks it too, but imports an XML-RPC client with it: 7 MB in each listener.
http://supervisord.org/events.html#event-listener-notification-protocol
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


def events(stdin: TextIO, stdout: TextIO) -> Iterator[dict[str, str]]:
    """Yield each event's facts until supervisord closes `stdin`; `answer` it before the next."""
    while True:
        _write(stdout, "READY\n")
        header = stdin.readline()
        if not header:
            return
        fields = _facts(header)
        yield fields | _facts(stdin.read(int(fields["len"])))


def _facts(line: str) -> dict[str, str]:
    return dict(word.split(":", 1) for word in line.split() if ":" in word)


def answer(stdout: TextIO, result: str = "OK") -> None:
    """Tell supervisord that the event is dealt with; `result` is for its result handler."""
    _write(stdout, f"RESULT {len(result.encode())}\n{result}")


def _write(stdout: TextIO, text: str) -> None:
    stdout.write(text)
    stdout.flush()
