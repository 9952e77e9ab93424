"""Handing batches over, and breaking what works on them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import requests

from tests.frontdoor.client import eventually, get, jpeg
from tests.origin import Behaviour, Call, Origin
from tests.stack.running import Stack

PICTURE = jpeg(64, 48)
PATH = "/fire_and_forget"


def picture(call: Call) -> None:
    call.reply(PICTURE, headers={"Content-Type": "image/jpeg"})


def urls(origin: Origin, count: int, then: Behaviour = picture, path: str = "/p") -> list[str]:
    """Have `origin` answer a path with any query; return `count` URLs of it."""
    address = origin.behave(path, then)
    return [f"{address}?{number}" for number in range(count)]


class Node:
    """A stack, as an importer and its operator see it."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def post(self, wanted: Iterable[str], **more: Any) -> requests.Response:
        return self.post_body(json.dumps({"urls": list(wanted), **more}).encode())

    def post_body(self, body: bytes, **headers: str) -> requests.Response:
        # curl's default Content-Type, as old clients send it
        given = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Image-Cloud-Token": self.stack.token,
        }
        return requests.post(self.stack.url + PATH, data=body, headers=given | headers, timeout=120)

    def as_client(
        self, headers: dict[str, str], method: str, parameters: dict[str, Any], body: Any = None
    ) -> requests.Response:
        """Ask with a token that `headers` bring."""
        return requests.request(
            method,
            self.stack.url + PATH,
            params=parameters,
            json=body,
            headers=headers,
            timeout=120,
        )

    def batch(self, wanted: Iterable[str], **more: Any) -> str:
        answer = self.post(wanted, **more)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["batch"])

    def progress(self, batch: str, **more: Any) -> dict[str, Any]:
        answer = get(self.stack, PATH, batch=batch, **more)
        assert answer.status_code == 200, answer.text
        state: dict[str, Any] = answer.json()
        counted = ("done", "failed", "cancelled", "waiting")
        assert state["total"] == sum(state[name] for name in counted)
        return state

    def finished(self, batch: str) -> dict[str, Any]:
        """Wait until nothing of `batch` waits."""
        eventually(lambda: not self.progress(batch)["waiting"], "the batch is finished")
        return self.progress(batch)

    def picture(self, url: str) -> requests.Response:
        return get(self.stack, "/get_image", url=url)

    def until(self, status: int, ask: Callable[[], requests.Response]) -> requests.Response:
        """Ask until the answer has `status`; return it."""
        answers = []

        def has_come() -> bool:
            answers.append(ask())
            return answers[-1].status_code == status

        eventually(has_come, f"a {status}")
        return answers[-1]

    def set_limits(self, limits: object) -> None:
        """Write the limits file (text as it is) and wait until the daemon's processes have looked."""
        text = limits if isinstance(limits, str) else json.dumps(limits)
        path = self.stack.home / "max_downloads.json"
        before = path.read_text()
        if text == before:
            return
        said = self.log("image-cloud-prefetch").count("event=limits_")
        readers = len(self.workers("image-cloud-prefetch"))
        new = path.with_name("new")
        new.write_text(text)
        new.chmod(0o644)
        new.replace(path)
        eventually(
            lambda: self.log("image-cloud-prefetch").count("event=limits_") >= said + readers,
            "limits are read",
        )

    @contextlib.contextmanager
    def settings(self, option: str, value: str, *, restart: str) -> Iterator[None]:
        """Give one option another value within the block; `restart` names the programs that read it."""
        ini = self.stack.home / "run/image_cloud.ini"
        before = ini.read_text()
        ini.write_text(re.sub(f"(?m)^{option} = .*", f"{option} = {value}", before))
        self.stack.supervisorctl("restart", *restart.split())
        try:
            yield
        finally:
            ini.write_text(before)
            self.stack.supervisorctl("restart", *restart.split())

    def log(self, program: str) -> str:
        return (self.stack.home / "log" / f"{program}.log").read_text(errors="replace")

    def kill(self, program: str) -> None:
        """kill -9 a program's process group leader; supervisord starts it again."""
        pid = self.stack.pid(program)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.stack.pid(program) not in (0, pid), f"{program} is back")

    def kill_worker(self, program: str) -> None:
        """kill -9 one worker of a gunicorn pool, or one process of the daemon that has several."""
        os.kill(self.workers(program)[-1], signal.SIGKILL)

    def workers(self, program: str) -> list[int]:
        """Return the ids of a program's worker processes, the oldest first."""
        master = self.stack.pid(program)
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        first = [master] if program == "image-cloud-prefetch" else []
        return first + [int(child) for child in children]

    def kill_everything(self) -> None:
        """kill -9 every process of the stack, and start it again."""
        eventually(self._none_left, "every process is dead")
        self.stack.start()

    def _none_left(self) -> bool:
        for pid in self.stack.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not self.stack.processes()
