"""The stack as its users start, look at and end it: `make run|up|down`, supervisorctl, /proc."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.decoding import library_without_webp
from tests.stack.running import CHECKOUT, Refused, Stack

PROGRAMS = (
    "image-cloud-decoder",
    "image-cloud-fetch",
    "image-cloud-front",
    "image-cloud-janitor",
    "image-cloud-sampler",
    "nginx",
    "postgres",
)
DEADLINE_S = 60.0
SECRETS = ("token", "tokens.json", "image_cloud.ini", "run/image_cloud.ini", "run/postgres")
LOOPBACK = "download.allow_networks=127.0.0.0/8"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of root's alone, 0700; pytest's own would be closed again by the next pytest that starts."""
    with tempfile.TemporaryDirectory(prefix="image-cloud-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def own() -> Iterator[Stack]:
    """A stack for tests that start, stop and kill."""
    with (
        tempfile.TemporaryDirectory(prefix="image-cloud-") as name,
        Stack(Path(name) / "home", settings=LOOPBACK) as running,
    ):
        yield running


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.1)


def is_ready(stack: Stack) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(f"{stack.url}/ready").status_code == 200
    return False


def sample(stack: Stack, name: str = "dusk.jpg") -> str:
    return f"http://{(stack.home / 'sample_origin').read_text().strip()}/{name}"


def thumbnail(stack: Stack, url: str) -> requests.Response:
    headers = {"X-Image-Cloud-Token": stack.token}
    return requests.get(f"{stack.url}/get_thumbnail", params={"url": url}, headers=headers)


@contextlib.contextmanager
def unanswered(stack: Stack) -> Iterator[None]:
    """Have a download under way whose origin never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/a.jpg"
        asking = threading.Thread(target=ask_in_vain, args=(stack, url))
        asking.start()
        connection, _ = silent.accept()
        with connection:
            yield
        asking.join(DEADLINE_S)


def ask_in_vain(stack: Stack, url: str) -> None:
    with contextlib.suppress(requests.ConnectionError):
        thumbnail(stack, url)


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# --- a stack that runs ---------------------------------------------------------------------------


def test_every_program_runs(own: Stack) -> None:
    states = dict(line.split()[:2] for line in own.supervisorctl("status").splitlines())
    assert set(PROGRAMS) <= set(states)
    assert set(states.values()) == {"RUNNING"}


@pytest.mark.parametrize("name", ["dusk.jpg", "desert.jpg", "night.webp", "badge.png"])
def test_sample_pictures_come_through(own: Stack, name: str) -> None:
    answer = thumbnail(own, sample(own, name))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/jpeg")


def test_up_again_changes_nothing_and_is_quick(own: Stack) -> None:
    before, began = own.pid("nginx"), time.monotonic()
    assert "already up" in own.start()
    assert time.monotonic() - began < DEADLINE_S
    assert own.pid("nginx") == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to drop")
def test_only_supervisord_is_root(own: Stack) -> None:
    roots = [pid for pid in own.processes() if uid_of(pid) == 0]
    assert roots == [own.supervisord()]


def test_no_process_can_gain_rights_or_leave_its_memory_behind(own: Stack) -> None:
    for pid, command in own.processes().items():
        if pid == own.supervisord():
            continue
        folder = Path(f"/proc/{pid}")
        assert "NoNewPrivs:\t1" in (folder / "status").read_text(), command
        limits = (folder / "limits").read_text().splitlines()
        core = next(line for line in limits if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"], command


CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes the decoder's user")
def test_the_decoder_is_a_sandbox(own: Stack) -> None:
    pid = own.pid("image-cloud-decoder")
    user = pwd.getpwuid(uid_of(pid))
    assert user.pw_name == "image-cloud-decoder"
    assert user.pw_gid != own.home.stat().st_gid, "it has no group in common with the others"
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    thumbnail(own, sample(own))
    original = next((own.home / "storage/originals").rglob("*.jpg"))
    variant = next((own.home / "storage/variants").rglob("*.jpg"))
    as_decoder = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def may(*command: str | Path) -> bool:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(  # type: ignore[call-overload]
            command, capture_output=True, **as_decoder
        )
        return done.returncode == 0

    assert may("test", "-r", sys.executable), "it reads its code"
    for place in (
        original, original.parent, variant, variant.parent, own.home / "storage",
        own.home / "storage/failures", own.home / "storage/variants/.incoming", own.home,
        own.home / "run", own.home / "run/decoder.ini", own.home / "log",
        *(own.home / secret for secret in SECRETS),
    ):  # fmt: skip
        for way in ("-r", "-w"):
            assert not may("test", way, place), place
    for name in ("run/postgres/.s.PGSQL.5436", "run/sockets/fetch.sock", "run/supervisor.sock"):
        assert (own.home / name).is_socket()
        assert not may(sys.executable, "-I", "-c", CONNECT, own.home / name), name


def test_files_that_hold_secrets_are_private(own: Stack) -> None:
    for name in ("token", "tokens.json", "run/image_cloud.ini"):
        assert (own.home / name).stat().st_mode & 0o077 == 0, name
    assert "token" not in "".join(own.processes().values())


def test_nothing_in_the_home_is_for_others(own: Stack) -> None:
    assert own.home.stat().st_mode & 0o007 == 0
    assert (own.home / "run/supervisor.sock").stat().st_mode & 0o777 == 0o700
    secret = own.token.encode()
    holders = [
        path
        for path in own.home.rglob("*")
        if path.is_file() and path.stat().st_size < 10**6 and secret in path.read_bytes()
    ]
    assert holders == [own.home / "token"]
    for path in own.home.rglob("*"):
        mode = path.lstat().st_mode
        if path.is_symlink() or path.is_relative_to(own.home / "postgres"):
            continue
        assert mode & 0o002 == 0, f"{path} may be written by anybody"
        if path.name in ("tokens.json", "image_cloud.ini", "peer_token"):
            assert mode & 0o007 == 0, path


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_killed_program_comes_back(own: Stack, program: str) -> None:
    before = own.pid(program)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: own.pid(program) not in (0, before))
    eventually(lambda: is_ready(own))
    eventually(lambda: thumbnail(own, sample(own, "badge.png")).status_code == 200)


def test_changed_settings_are_applied_by_the_next_up(own: Stack) -> None:
    assert "restarting" in own.start(settings=f"{LOOPBACK};resize.thumbnail_sizes=123, 200")
    assert thumbnail(own, sample(own)).status_code == 200
    answer = requests.get(
        f"{own.url}/get_thumbnail",
        params={"url": sample(own), "size": "123"},
        headers={"X-Image-Cloud-Token": own.token},
    )
    assert answer.status_code == 200


def test_two_stacks_side_by_side(own: Stack, folder: Path) -> None:
    with Stack(folder / "b") as other:
        assert is_ready(other)
        assert is_ready(own)
        assert other.token != own.token
        assert (
            requests.get(
                f"{own.url}/get_image", headers={"X-Image-Cloud-Token": other.token}
            ).status_code
            == 401
        )
    assert is_ready(own)


def test_nothing_outlives_supervisord(own: Stack) -> None:
    os.kill(own.supervisord(), signal.SIGKILL)
    eventually(lambda: not own.processes())
    assert "nothing runs" in own.stop()
    own.start()


def test_workers_of_a_killed_nginx_do_not_keep_its_port(own: Stack) -> None:
    before = own.pid("nginx")
    os.kill(before, signal.SIGKILL)
    eventually(lambda: own.pid("nginx") not in (0, before))
    eventually(lambda: bool(children(own.pid("nginx"))))
    workers = [pid for pid, command in own.processes().items() if "nginx: worker" in command]
    assert set(workers) == set(children(own.pid("nginx")))
    eventually(lambda: is_ready(own))


def test_down_leaves_no_process_even_of_a_dead_nginx(own: Stack) -> None:
    """Killed in the same moment, neither supervisord nor the kernel tells nginx's workers."""
    nginx, supervisord = own.pid("nginx"), own.supervisord()
    os.kill(supervisord, signal.SIGSTOP)
    for pid in (nginx, supervisord):
        os.kill(pid, signal.SIGKILL)
    assert own.processes()
    assert "stopped" in own.stop()
    assert own.processes() == {}
    own.start()


def test_up_after_a_killed_supervisord_takes_the_stack_over(own: Stack) -> None:
    with unanswered(own):
        os.kill(own.supervisord(), signal.SIGKILL)
        began = time.monotonic()
        own.start()
    assert time.monotonic() - began < DEADLINE_S
    assert is_ready(own)
    assert (
        len(
            [
                pid
                for pid in own.processes()
                if Path(f"/proc/{pid}/comm").read_text() == "supervisord\n"
            ]
        )
        == 1
    )
    own.stop()
    assert own.processes() == {}


# --- a stack that cannot start -------------------------------------------------------------------


def refusal(stack: Stack) -> str:
    """Return what `make up` says against starting; nothing may be left running."""
    with pytest.raises(Refused) as refused:
        stack.start()
    assert stack.processes() == {}
    assert "Traceback" not in str(refused.value)
    return str(refused.value)


def test_a_taken_port_is_named_with_its_holder(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        listen = f"127.0.0.1:{holder.getsockname()[1]}"
        said = refusal(Stack(tmp_path / "h", listen=listen))
    assert f"cannot listen on {listen}" in said
    assert f"process {os.getpid()}" in said


def test_every_mistake_in_the_settings_is_listed(tmp_path: Path) -> None:
    said = refusal(
        Stack(tmp_path / "h", settings="resize.quality=1000;nonsense.x=1;download.max_bytes=many")
    )
    assert "[resize] quality" in said
    assert "[nonsense]" in said
    assert "[download] max_bytes" in said


def test_a_format_that_the_build_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", library_without_webp(tmp_path))
    settings = "resize.format_when_resize=webp;resize.quality=1000"
    said = refusal(Stack(tmp_path / "h", settings=settings))
    assert "[resize] format_when_resize = webp: this installation cannot write it" in said
    assert "expected one of jpeg, png" in said
    assert "[resize] quality" in said


def test_an_address_of_another_machine(tmp_path: Path) -> None:
    assert "this machine has no address" in refusal(
        Stack(tmp_path / "h", listen="203.0.113.9:5000")
    )


def test_a_home_too_long_for_a_socket(tmp_path: Path) -> None:
    assert "bytes too long" in refusal(Stack(tmp_path / ("h" * 100)))


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file" in refusal(Stack(tmp_path / "file" / "h"))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", tmp_path / "m"], check=True)
    try:
        assert "the disk is full" in refusal(Stack(tmp_path / "m" / "h"))
    finally:
        subprocess.run(["umount", tmp_path / "m"], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_full_log_disk_costs_log_lines_alone(tmp_path: Path) -> None:
    home = tmp_path / "h"
    log = home / "log"
    log.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", log], check=True)
    try:
        with Stack(home) as stack:
            before = stack.supervisord(), stack.pid("image-cloud-fetch")
            filler = log / "filler"
            fill(filler)
            refused = requests.Session()
            for _ in range(200):  # each is a line of the front pool's log
                assert refused.get(f"{stack.url}/get_image?url=x").status_code == 401
            stack.supervisorctl("restart", "image-cloud-janitor")
            os.kill(stack.pid("image-cloud-front"), signal.SIGKILL)
            eventually(lambda: refused.get(f"{stack.url}/get_image").status_code == 401)
            assert thumbnail(stack, sample(stack)).status_code == 200
            assert (stack.supervisord(), stack.pid("image-cloud-fetch")) == before
            filler.unlink()
            ids: list[str] = []
            eventually(lambda: is_logged(refused, stack, ids))
    finally:
        subprocess.run(["umount", log], check=True)


def fill(file: Path) -> None:
    """Write zeros until the disk is full."""
    with contextlib.suppress(OSError), open(file, "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))


def is_logged(session: requests.Session, stack: Stack, ids: list[str]) -> bool:
    """Have a request refused, and say whether the front pool's log has one of `ids`, to which it goes.

    A worker of the killed pool may still answer, but nobody keeps what it says.
    """
    ids.append(session.get(f"{stack.url}/get_image?url=x").json()["request_id"])
    text = (stack.home / "log/image-cloud-front.log").read_text(errors="replace")
    return any(one in text for one in ids)


# --- in the foreground ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_until_it_is_told_to_stop(folder: Path, number: signal.Signals) -> None:
    stack = Stack(folder / "h")
    process = subprocess.Popen(
        [CHECKOUT / "run"], cwd=folder, env=stack.env() | {"IMAGE_CLOUD_HOME": "h"}, text=True,
        stdout=subprocess.PIPE, process_group=0,
    )  # fmt: skip
    assert process.stdout
    said = {}
    for line in process.stdout:
        name, _, text = line.strip().partition(":")
        said[name] = text.strip()
        if name == "stop":
            break
    assert stack.token in said["token"]
    subprocess.run(["sh", "-ec", said["try"]], cwd=folder, check=True, capture_output=True)
    assert (folder / "dusk.jpg").read_bytes().startswith(b"\xff\xd8")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does
    else:
        process.terminate()
    process.wait(DEADLINE_S)
    assert stack.processes() == {}
