"""The front door while parts of the node are away."""

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.frontdoor.client import eventually, get, jpeg, problem
from tests.origin import Call, Gate, Origin, answer
from tests.stack.running import Stack


def row_of(stack: Stack, url: str) -> str:
    return stack.psql(f"SELECT sha256 FROM images WHERE url = '{url}'").strip()


def notes(stack: Stack) -> list[Path]:
    return list((stack.home / "storage" / "unrecorded").glob("*.json"))


def pids(stack: Stack, pool: str) -> list[int]:
    """The workers of a pool: the children of its gunicorn."""
    master = int(stack.supervisorctl("pid", f"image-cloud-{pool}"))
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [int(child) for child in children] or [master]


def test_without_the_database_all_is_served_and_recorded_later(
    stack: Stack, origin: Origin
) -> None:
    before = origin.serve("/before.jpg", jpeg(seed=1))
    assert get(stack, "/get_image", url=before).status_code == 200
    stack.supervisorctl("stop", "postgres")
    try:
        eventually(lambda: get(stack, "/ready").json()["status"] == "degraded", "degraded")
        assert get(stack, "/ready").json()["database"] != "ok"
        assert get(stack, "/get_image", url=before).headers["X-Cache"] == "HIT"
        during = origin.serve("/during.jpg", jpeg(seed=2))
        assert get(stack, "/get_image", url=during).headers["X-Cache"] == "MISS"
        assert get(stack, "/get_thumbnail", url=during).status_code == 200
    finally:
        stack.supervisorctl("start", "postgres")
    eventually(lambda: row_of(stack, during), "the row is there")
    eventually(lambda: not notes(stack), "no note is left")
    eventually(lambda: get(stack, "/ready").json()["status"] == "ok", "ready again")


def test_a_stopped_database_that_never_answers_holds_nobody_up(
    stack: Stack, origin: Origin
) -> None:
    postmaster = int((stack.home / "postgres" / "postmaster.pid").read_text().split()[0])
    group = [
        postmaster,
        *map(int, Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()),
    ]
    for pid in group:
        os.kill(pid, signal.SIGSTOP)
    try:
        url = origin.serve("/frozen.jpg", jpeg(seed=3))
        assert get(stack, "/get_image", url=url).headers["X-Cache"] == "MISS"
        eventually(lambda: get(stack, "/ready").json()["status"] == "degraded", "degraded")
    finally:
        for pid in group:
            os.kill(pid, signal.SIGCONT)
    eventually(lambda: row_of(stack, url), "the row is there")
    eventually(lambda: get(stack, "/ready").json()["status"] == "ok", "ready again")


@pytest.mark.parametrize("pool", ["fetch", "control"])
def test_ready_tells_which_pool_is_away(stack: Stack, pool: str) -> None:
    assert get(stack, "/ready").json()["pools"][pool] == "ok"
    stack.supervisorctl("stop", f"image-cloud-{pool}")
    try:
        said = eventually(lambda: _degraded(stack), "degraded")
        assert said["pools"].pop(pool) == "does not answer"
        assert set(said["pools"].values()) == {"ok"}
        assert (said["storage"], said["database"]) == ("ok", "ok")
    finally:
        stack.supervisorctl("start", f"image-cloud-{pool}")
    eventually(lambda: get(stack, "/ready").json()["status"] == "ok", "ready again")


def _degraded(stack: Stack) -> Any:
    said = get(stack, "/ready").json()
    return said if said["status"] == "degraded" else None


def test_a_fetch_worker_killed_in_a_download_leaves_nothing_partial(
    stack: Stack, origin: Origin
) -> None:
    content = jpeg(seed=4)

    def half(call: Call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content) + content[:1000])
        gate(call)

    gate = Gate(lambda call: call.send(content[1000:]))
    url = origin.behave("/killed.jpg", half)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(get(stack, "/get_image", url=url)))
    asking.start()
    gate.await_arrival()
    for pid in pids(stack, "fetch"):
        os.kill(pid, signal.SIGKILL)
    gate.open()
    asking.join(60)
    # nginx asks once more where the connection was one that it had kept: that downloads it anew.
    if answers[0].status_code == 200:
        assert answers[0].content == content
    else:
        problem(answers[0], 503, "busy")
        assert answers[0].headers["Retry-After"]
    fine = eventually(
        lambda: (again := get(stack, "/get_image", url=url)).status_code == 200 and again, "served"
    )
    assert fine.content == content
    eventually(lambda: row_of(stack, url), "the row is there")


def test_every_program_comes_back_after_kill_9(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/back.jpg", jpeg(seed=6))
    pools = ("front", "fetch", "decoder")
    before = [pid for pool in pools for pid in pids(stack, pool)]
    for pool in pools:
        os.kill(stack.pid(f"image-cloud-{pool}"), signal.SIGKILL)
    # The killed masters' workers serve until they notice.
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in before), "they are gone")
    eventually(lambda: get(stack, "/get_thumbnail", url=url).status_code == 200, "back again")


def test_term_lets_a_download_end(stack: Stack, origin: Origin) -> None:
    gate = Gate(lambda call: call.reply(jpeg(seed=7)))
    url = origin.behave("/drained.jpg", gate)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(get(stack, "/get_image", url=url)))
    asking.start()
    eventually(lambda: origin.count("/drained.jpg") or answers, "the download has begun")
    assert not answers, answers[0].text
    restart = threading.Thread(target=stack.supervisorctl, args=("restart", "image-cloud-fetch"))
    restart.start()
    gate.open()
    asking.join(60)
    restart.join(60)
    assert answers[0].status_code == 200


def test_a_slow_origin_does_not_hold_up_hits(stack: Stack, origin: Origin) -> None:
    url = origin.serve("/quick.jpg", jpeg(seed=8))
    assert get(stack, "/get_thumbnail", url=url).status_code == 200
    gate = Gate(answer(404))
    threads = []
    for number in range(40):
        slow = origin.behave(f"/slow{number}", gate)
        threads.append(
            threading.Thread(target=get, args=(stack, "/get_image"), kwargs={"url": slow})
        )
        threads[-1].start()
    gate.await_arrival()
    assert get(stack, "/get_thumbnail", url=url).headers["X-Cache"] == "HIT"
    assert get(stack, "/get_image", url=url).headers["X-Cache"] == "HIT"
    gate.open()
    for thread in threads:
        thread.join(60)
