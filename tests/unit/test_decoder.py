"""The decoder daemon: its queue, its workers' ends, its restarts, and clients that do not behave."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from daemons.decoder import landlock
from daemons.decoder.waiting import IN_A_ROW, Waiting
from image_cloud.decoding import frames
from image_cloud.decoding.client import REFUSED, Decoder
from image_cloud.decoding.plan import HEAD, PREFETCH, VISITOR, Plan
from image_cloud.errors import (
    Busy,
    DecoderAway,
    DecoderDied,
    DecodeTimeout,
    ImageCloudError,
    UnusableImage,
)
from image_cloud.picture.variant import Recipe
from image_cloud.process.sockets import socket_path
from tests.decoding import CHECKOUT, DEADLINE_S, Daemon, configured, eventually
from tests.unit.pictures import loaded

RECIPE = Recipe(40, 40)
MOST_BYTES = 10**7
SETTINGS = "pools.resize_workers=1;pools.resize_queue=3;resize.decode_timeout=1 s"


@functools.cache
def quick() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (80, 40), "teal").save(file, "jpeg")
    return file.getvalue()


@functools.cache
def slow() -> bytes:
    """A picture that takes longer than a kill does: 48 megapixels of PNG."""
    file = io.BytesIO()
    Image.effect_noise((8000, 6000), 90).save(file, "PNG", compress_level=1)
    return file.getvalue()


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with Daemon(configured(tmp_path, SETTINGS)) as running:
        yield running


def ask(
    client: Decoder, content: bytes | None = None, recipes: tuple[Recipe, ...] = (RECIPE,),
    kind: int = VISITOR, *, is_large: bool = False,
) -> list[bytes]:  # fmt: skip
    """Return all that the decoder makes of `content`."""
    file = os.memfd_create("picture")
    try:
        os.write(file, quick() if content is None else content)
        with client.ask(Plan(recipes), [file], kind, is_large=is_large) as exchange:
            made = []
            while (frame := exchange.read(MOST_BYTES))[0] != frames.END:
                made.append(frame[1])
            return made
    finally:
        os.close(file)


class Asking:
    """Asks in threads of its own, and keeps what comes of it."""

    def __init__(self, client: Decoder) -> None:
        self.answers: list[list[bytes] | ImageCloudError] = []
        self._client = client
        self._threads: list[threading.Thread] = []

    def start(
        self,
        count: int,
        content: bytes | None = None,
        kind: int = VISITOR,
        *,
        is_large: bool = False,
    ) -> None:
        for _ in range(count):
            thread = threading.Thread(target=self._ask, args=(content, kind, is_large))
            thread.start()
            self._threads.append(thread)

    def _ask(self, content: bytes | None, kind: int, is_large: bool) -> None:
        try:
            self.answers.append(ask(self._client, content, kind=kind, is_large=is_large))
        except ImageCloudError as error:
            self.answers.append(error)

    def all(self) -> list[list[bytes] | ImageCloudError]:
        for thread in self._threads:
            thread.join(DEADLINE_S)
        return self.answers


@contextlib.contextmanager
def stopped(daemon: Daemon) -> Iterator[None]:
    """Keep the workers from doing anything."""
    for pid in daemon.workers():
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in daemon.workers():
            os.kill(pid, signal.SIGCONT)


def open_files(daemon: Daemon) -> int:
    assert daemon.process
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


def test_all_recipes_come_in_their_order(daemon: Daemon) -> None:
    recipes = (RECIPE, Recipe(20, 20), Recipe(30, 30, format="png"))
    made = ask(daemon.client(), recipes=recipes)
    assert [loaded(one).size for one in made] == [(40, 20), (20, 10), (30, 15)]


def test_a_picture_that_cannot_be_read_costs_no_worker(daemon: Daemon) -> None:
    workers = daemon.workers()
    with pytest.raises(UnusableImage):
        ask(daemon.client(), b"\x89PNG\r\n\x1a\n" + quick())
    assert ask(daemon.client())
    assert daemon.workers() == workers


# --- ends of workers ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_worker_costs_its_picture_alone(daemon: Daemon, number: int) -> None:
    asking = Asking(daemon.client())
    asking.start(1, slow())
    eventually(lambda: daemon.count("running"), "it has begun")
    for pid in daemon.workers():
        os.kill(pid, number)
    (answer,) = asking.all()
    assert isinstance(answer, DecoderDied)
    assert ask(daemon.client()), "the next one is decoded"
    assert (daemon.count("deaths"), daemon.count("kills")) == (1, 0)


def test_one_that_never_returns_is_killed_at_the_deadline(daemon: Daemon) -> None:
    with stopped(daemon):
        asking = Asking(daemon.client())
        asking.start(1)
        (answer,) = asking.all()
    assert isinstance(answer, DecodeTimeout)
    assert ask(daemon.client())
    assert (daemon.count("deaths"), daemon.count("kills")) == (1, 1)


def test_one_that_ends_while_it_waits_costs_nothing(daemon: Daemon) -> None:
    (pid,) = daemon.workers()
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: daemon.workers() not in ([], [pid]))
    assert ask(daemon.client())
    assert daemon.count("deaths") == 0


def test_one_whose_answer_is_refused_is_replaced(daemon: Daemon) -> None:
    before = daemon.workers()
    file = os.memfd_create("picture")
    os.write(file, quick())
    with daemon.client().ask(Plan((RECIPE,)), [file]) as exchange:
        exchange.read(MOST_BYTES)
        assert isinstance(exchange.refuse("a test"), DecoderDied)
    os.close(file)
    eventually(lambda: daemon.workers() not in ([], before), "another one")
    assert ask(daemon.client())


def test_workers_end_with_their_daemon(daemon: Daemon) -> None:
    workers = daemon.workers()
    assert daemon.process
    daemon.process.kill()
    daemon.process.wait()
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    with pytest.raises(DecoderAway):
        ask(daemon.client())


# --- the queue ------------------------------------------------------------------------------------


def test_a_full_queue_refuses_at_once(daemon: Daemon) -> None:
    asking = Asking(daemon.client())
    with stopped(daemon):
        asking.start(4)
        eventually(lambda: (daemon.count("running"), daemon.count("waiting")) == (1, 3), "full")
        with pytest.raises(Busy) as caught:
            ask(daemon.client())
        assert caught.value.retry_after_s
        assert not asking.answers, "the others wait"
        assert daemon.count("refused") == 1
    assert all(isinstance(answer, list) for answer in asking.all())


def test_prefetch_takes_no_room_of_visitors(daemon: Daemon) -> None:
    asking = Asking(daemon.client())
    with stopped(daemon):
        asking.start(1)
        eventually(lambda: daemon.count("running"))
        asking.start(1, kind=PREFETCH)
        eventually(lambda: daemon.count("waiting_prefetch"))
        with pytest.raises(Busy):
            ask(daemon.client(), kind=PREFETCH)
        asking.start(3)
        eventually(lambda: daemon.count("waiting") == 3, "there is room for visitors")
    assert all(isinstance(answer, list) for answer in asking.all())


def test_visitors_go_first_and_prefetch_is_not_forgotten() -> None:
    waiting: Waiting[str] = Waiting(1000)
    for number in range(3):
        assert waiting.add(PREFETCH, f"prefetch {number}")
    for _ in range(100):
        assert waiting.add(VISITOR, "visitor")
    turns = [waiting.take() for _ in range(30)]
    places = [turns.index(f"prefetch {number}") for number in range(3)]
    assert places == [IN_A_ROW, 2 * IN_A_ROW + 1, 3 * IN_A_ROW + 2]
    assert len(waiting) == 73


def test_one_that_has_left_is_not_decoded(daemon: Daemon) -> None:
    with stopped(daemon):
        asking = Asking(daemon.client())
        asking.start(1)
        eventually(lambda: daemon.count("running"))
        file = os.memfd_create("picture")
        with daemon.client().ask(Plan((RECIPE,)), [file]):
            eventually(lambda: daemon.count("waiting"))
        os.close(file)
        eventually(lambda: not daemon.count("waiting"), "it is taken out")
    asking.all()
    eventually(lambda: (daemon.count("done"), daemon.count("running")) == (1, 0), "it alone")


def test_large_pictures_are_decoded_one_at_a_time(tmp_path: Path) -> None:
    with Daemon(configured(tmp_path, "pools.resize_workers=2")) as daemon:
        both_at_work(daemon)
        asking = Asking(daemon.client())
        with stopped(daemon):
            asking.start(3, is_large=True)
            eventually(lambda: (daemon.count("running"), daemon.count("waiting")) == (1, 2))
            asking.start(1)
            eventually(lambda: daemon.count("running") == 2, "a small one passes them")
            assert daemon.count("waiting") == 2
        assert all(isinstance(answer, list) for answer in asking.all())


def both_at_work(daemon: Daemon) -> None:
    """Have a second worker, which comes when the first has something to do."""
    (first,) = daemon.workers()
    os.kill(first, signal.SIGSTOP)
    asking = Asking(daemon.client())
    asking.start(1)
    eventually(lambda: daemon.count("running"))
    assert ask(daemon.client()), "another one does it"
    os.kill(first, signal.SIGCONT)
    asking.all()
    eventually(lambda: not daemon.count("running"), "both are done, to their parent, too")
    assert len(daemon.workers()) == daemon.count("workers") == 2


CREW = """
from daemons.decoder.crew import Crew, Limits
from image_cloud.config.sections import Resize

crew = Crew(Resize(), Limits(1 << 30), 2, spare_s=0.0)
first, second = crew.hire(), crew.hire()
assert crew.hire() is None, "there are enough"
for worker in (first, second):
    crew.rest(worker)
crew.let_spare_go()
assert first.channel.recv(1) == b"" and crew.bury(first) == 0, "it ends in order"
assert len(crew) == 1 and crew.take() is second
crew.rest(second)
crew.let_spare_go()
assert len(crew) == 1 and crew.take() is second, "the last one stays"
crew.kill()
assert crew.bury(second) == -9
"""


def test_a_worker_that_is_not_needed_ends_but_the_last_one_stays() -> None:
    subprocess.run([sys.executable, "-c", CREW], cwd=CHECKOUT, check=True, timeout=DEADLINE_S)


def test_a_worker_that_rests_gives_memory_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", str(32 << 20))  # as in supervisor.d
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", str(64 << 20))
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    large = io.BytesIO()
    Image.new("RGB", (4000, 3000), "teal").save(large, "jpeg", progressive=True)
    with Daemon(configured(tmp_path, "pools.resize_workers=1")) as daemon:
        ask(daemon.client())
        before = held_mb(daemon.workers()[0])
        ask(daemon.client(), large.getvalue())  # its coefficients take 36 MB
        eventually(lambda: held_mb(daemon.workers()[0]) < before + 10)


def held_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def test_who_may_not_go_yet_is_passed_over() -> None:
    waiting: Waiting[str] = Waiting(10)
    for kind, name in ((VISITOR, "large"), (VISITOR, "small"), (PREFETCH, "large, too")):
        assert waiting.add(kind, name)
    assert waiting.take(lambda one: "large" not in one) == "small"
    assert waiting.take(lambda one: "large" not in one) is None
    assert [waiting.take(), waiting.take(), waiting.take()] == ["large", "large, too", None]


# --- restarts -------------------------------------------------------------------------------------


def test_a_restart_under_load_loses_no_request(tmp_path: Path) -> None:
    config = configured(tmp_path, "pools.resize_workers=1")
    path = socket_path(config.node.run, "decoder")
    client, ends = Decoder(path, DEADLINE_S), threading.Event()
    answers: list[list[bytes] | ImageCloudError] = []

    def load() -> None:
        while not ends.is_set():
            try:
                answers.append(ask(client))
            except ImageCloudError as error:
                answers.append(error)

    def wait_for_more() -> None:
        before = len(answers)
        eventually(lambda: len(answers) > before + 20)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(100)
        with Daemon(config, listening) as daemon:
            threads = [threading.Thread(target=load) for _ in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(2):
                wait_for_more()
                daemon.stop()
                daemon.start()
            wait_for_more()
            ends.set()
            for thread in threads:
                thread.join()
    assert not [answer for answer in answers if isinstance(answer, ImageCloudError)]


# --- clients --------------------------------------------------------------------------------------


MESSAGE = Plan((RECIPE,)).message(VISITOR)
SEND: dict[str, Callable[[socket.socket, int], object]] = {
    "nothing": lambda client, _: None,
    "noise": lambda client, _: client.send(b"\xff" * 5000),
    "too long": lambda client, _: client.send(HEAD.pack(VISITOR, False, 10**6)),
    "no descriptors": lambda client, _: client.send(MESSAGE),
    "one descriptor": lambda client, file: socket.send_fds(client, [MESSAGE], [file]),
    "many descriptors": lambda client, file: socket.send_fds(client, [MESSAGE[:9]], [file] * 50),
    "half a message": lambda client, file: socket.send_fds(client, [MESSAGE[:9]], [file] * 2),
    "half of HTTP": lambda client, _: client.send(b"GET /"),
    "refused": lambda client, _: client.send(REFUSED),
    "no plan": lambda client, file: socket.send_fds(
        client, [HEAD.pack(VISITOR, False, 4) + b"{}[]"], [os.open("/dev/null", os.O_WRONLY), file]
    ),
}


@pytest.mark.parametrize("send", SEND.values(), ids=SEND)
def test_a_client_that_does_not_behave_harms_nobody(
    daemon: Daemon, send: Callable[[socket.socket, int], object]
) -> None:
    before = open_files(daemon)
    with contextlib.closing(os.fdopen(os.memfd_create("picture"))) as file:
        for _ in range(3):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(daemon.path)
                send(client, file.fileno())
                client.settimeout(0.05)
                with contextlib.suppress(OSError):
                    client.recv(100)
    assert ask(daemon.client())
    eventually(lambda: open_files(daemon) <= before, "it has closed what came")


@pytest.mark.parametrize("cut", range(1, len(MESSAGE)))
def test_a_message_may_come_in_pieces(decoder: str, cut: int) -> None:
    reading, writing = os.pipe()
    file = os.memfd_create("picture")
    os.write(file, quick())
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(decoder)
        socket.send_fds(client, [MESSAGE[:cut]], [writing, file])
        client.send(MESSAGE[cut:])
        os.close(writing)
        kind, content = frames.Reader(reading, time.monotonic() + 60).read(MOST_BYTES)
    assert (kind, loaded(content).size) == (frames.VARIANT, (40, 20))
    for descriptor in (reading, file):
        os.close(descriptor)


# --- what is left to a worker ---------------------------------------------------------------------

RESTRICTED = """
import os, signal, socket, sys
from pathlib import Path
from daemons.decoder import landlock
home, port, parent = Path(sys.argv[1]), int(sys.argv[2]), os.getppid()
assert landlock.restrict(landlock.code())
tries = {
    "read": lambda: (home / "secret").read_bytes(),
    "list": lambda: os.listdir(home),
    "write": lambda: (home / "new").write_text("x"),
    "link": lambda: os.symlink("secret", home / "link"),
    "remove": lambda: os.unlink(home / "secret"),
    "read the system's": lambda: Path("/etc/passwd").read_bytes(),
    "connect": lambda: socket.create_connection(("127.0.0.1", port)),
    "signal": lambda: os.kill(parent, 0),
}
for name, act in tries.items():
    try:
        act()
        print(name)
    except PermissionError:
        pass
import xml.dom.minidom
import image_cloud.resize.heif.codecs
"""


@pytest.mark.skipif(landlock.version() < 6, reason="the kernel's Landlock does not know all of it")
def test_a_worker_may_do_nothing_but_load_code(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-c", RESTRICTED, tmp_path, str(port)],
            cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    assert done.stdout == "", "it could do this"
    assert os.listdir(tmp_path) == ["secret"]
