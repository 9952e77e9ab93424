import json
import logging
import os
import re
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_cloud.process.log_formats import current_id, formatter
from image_cloud.process.logs import GatheringHandler, WithoutQueries, pieces
from image_cloud.supervision import log_rotation
from image_cloud.supervision.log_rotation import MAX_BYTES

PATIENCE_S = 60.0


class Pipe:
    """A stream that keeps each write."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.changed = threading.Condition()

    def write(self, text: str) -> None:
        with self.changed:
            self.written.append(text)
            self.changed.notify_all()

    def flush(self) -> None: ...

    def wait_for(self, text: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: text in "".join(self.written), PATIENCE_S)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe, log = Pipe(), logging.getLogger("gathered")
    handler = GatheringHandler(pipe)
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.INFO)
    yield pipe
    log.removeHandler(handler)


def test_lines_that_come_together_are_written_together(pipe: Pipe) -> None:
    for number in range(5):
        logging.getLogger("gathered").info("line %d", number)
    pipe.wait_for("line 4\n")
    assert "".join(pipe.written) == "line 0\nline 1\nline 2\nline 3\nline 4\n"
    assert len(pipe.written) < 5


def test_a_warning_comes_at_once_and_in_order(pipe: Pipe) -> None:
    logging.getLogger("gathered").info("before")
    logging.getLogger("gathered").warning("trouble")
    assert pipe.written == ["before\ntrouble\n"]


def test_the_end_of_a_process_loses_no_line(pipe: Pipe) -> None:
    logging.getLogger("gathered").info("last words")
    logging.shutdown()
    assert pipe.written == ["last words\n"]


def test_a_forked_process_writes_its_own_lines() -> None:
    reading, writing = os.pipe()
    handler = GatheringHandler(os.fdopen(writing, "w"))
    log = logging.getLogger("forking")
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.INFO)
    log.info("parent")
    handler.flush()
    child = os.fork()
    if not child:
        log.info("child")
        threading.Event().wait(PATIENCE_S)  # until it is killed
        sys.exit()
    try:
        seen = b""
        while b"child\n" not in seen and select.select([reading], [], [], PATIENCE_S)[0]:
            seen += os.read(reading, 4096)
        assert seen == b"parent\nchild\n"
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_pieces_fit_into_a_pipe_in_one_go() -> None:
    lines = [f"{number} {'ä' * 200}\n" for number in range(100)]
    found = pieces([*lines, "x" * 5000 + "\n", "end\n"])
    assert "".join(found) == "".join([*lines, "x" * 5000 + "\n", "end\n"])
    assert all(len(piece.encode()) <= select.PIPE_BUF for piece in found if "x" not in piece)
    assert len(found) == 12


def test_a_query_is_in_no_line_and_no_traceback() -> None:
    try:
        raise ValueError("/get_image?token=secret is odd")
    except ValueError as error:
        found = (type(error), error, error.__traceback__)
    record = logging.LogRecord(
        "gunicorn.error",
        logging.ERROR,
        "x",
        1,
        "Error handling request %s",
        ("/a?token=secret",),
        found,
    )
    assert WithoutQueries().filter(record)
    line = logging.Formatter().format(record)
    assert "secret" not in line
    assert "Error handling request /a?..." in line


def test_a_query_ends_at_no_quote() -> None:
    refused = "Invalid HTTP request line: 'GET /a?x=\"&y='&token=secret HTTP/1.1'"
    record = logging.LogRecord("gunicorn.error", logging.WARNING, "x", 1, refused, (), None)
    assert WithoutQueries().filter(record)
    assert "secret" not in logging.Formatter().format(record)


def line(name: str, message: str, *values: object, error: bool = False) -> str:
    try:
        raise ValueError("odd") if error else KeyError
    except (ValueError, KeyError):
        info = sys.exc_info() if error else None
    record = logging.LogRecord("x", logging.INFO, "", 0, message, values, info)
    return formatter(name).format(record)


def test_a_line_carries_the_id_of_its_request() -> None:
    assert " id=" not in line("logfmt", "event=started")
    token = current_id.set("abc-1")
    try:
        assert re.fullmatch(
            r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} level=INFO process=\d+ id=abc-1"
            r" event=done bytes=3",
            line("logfmt", "event=done bytes=%d", 3),
        )
        assert json.loads(line("json", "event=done"))["id"] == "abc-1"
    finally:
        current_id.reset(token)


FACTS: list[tuple[str, dict[str, object]]] = [
    ("event=x bytes=12 seconds=0.250 key=007", {"bytes": 12, "seconds": 0.25, "key": "007"}),
    ("event=x reason='it\\'s \"so\" a=b' n=-1", {"reason": 'it\'s "so" a=b', "n": -1}),
    ("event=x empty= last=y", {"empty": "", "last": "y"}),
    ("event=x stored=True blocked=False", {"stored": True, "blocked": False}),
    ("event=x url=http://a/?b=c", {"url": "http://a/?b=c"}),
    ("event=x path=C:\\d", {"path": "C:\\d"}),
    ("event=x name=\u00fc\x1b[31m", {"name": "\u00fc\x1b[31m"}),
    ("Booting worker with pid: 7", {"message": "Booting worker with pid: 7"}),
    ("event=x odd='\\N' line='a\nb'", {"odd": "'\\N'", "line": "'a\nb'"}),
    ("event=x and words", {"message": "event=x and words"}),
    ("event=x line\nbreak='a", {"message": "event=x line\nbreak='a"}),
    ("", {"message": ""}),
]
WORD = re.compile(r'([A-Za-z_][\w.]*)=("(?:[^"\\]|\\.)*"|[^ "=\\]*)(?: |$)', re.ASCII)


def words(text: str) -> dict[str, str]:
    """Read a line as readers of logfmt do; fails where it is anything else."""
    found, place = {}, 0
    while place < len(text):
        word = WORD.match(text, place)
        assert word, text[place:]
        name, value = word.groups()
        found[name] = json.loads(value) if value.startswith('"') else value
        place = word.end()
    return found


@pytest.mark.parametrize(("message", "facts"), FACTS)
def test_a_line_as_json(message: str, facts: dict[str, object]) -> None:
    text = line("json", message)
    assert "\n" not in text
    told = json.loads(text)
    assert {name: told[name] for name in facts} == facts
    assert told["level"] == "INFO"


@pytest.mark.parametrize(("message", "facts"), FACTS)
def test_a_line_as_logfmt(message: str, facts: dict[str, object]) -> None:
    told = words(line("logfmt", message))
    assert {name: told[name] for name in facts} == {
        name: f"{value:.3f}" if isinstance(value, float) else str(value)
        for name, value in facts.items()
    }
    assert told["level"] == "INFO"


@given(st.text())
def test_any_message_is_one_line_of_json(message: str) -> None:
    text = line("json", message.replace("%", "%%"))
    assert "\n" not in text
    assert isinstance(json.loads(text), dict)


@given(st.text())
def test_any_message_is_one_line_of_logfmt(message: str) -> None:
    text = line("logfmt", message.replace("%", "%%"))
    assert text.isascii()
    assert text.isprintable()
    assert words(text)["level"] == "INFO"


@pytest.mark.parametrize(("log_format", "read"), [("logfmt", words), ("json", json.loads)])
def test_a_traceback_stays_with_its_line(
    log_format: str, read: Callable[[str], dict[str, str]]
) -> None:
    text = line(log_format, "event=broken", error=True)
    assert "\n" not in text
    assert "ValueError: odd\n" in read(text)["traceback"] + "\n"


@pytest.mark.parametrize(("log_format", "read"), [("logfmt", words), ("json", json.loads)])
def test_what_nobody_catches_is_a_line_like_others(
    log_format: str, read: Callable[[str], dict[str, str]]
) -> None:
    program = (
        "import sys, warnings; from image_cloud.process.logs import set_up_logging;"
        "set_up_logging('info', sys.argv[1]); warnings.warn('old'); raise ValueError('odd')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, log_format], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 1
    warning, last = [read(text) for text in ended.stderr.splitlines()]
    assert "old" in warning["message"]
    assert last["event"] == "uncaught"
    assert last["traceback"].endswith("ValueError: odd")


def test_the_rotation_of_the_access_log_reports_in_the_same_form(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.touch()
    os.truncate(log, MAX_BYTES)
    sample = Path(__file__).parents[2] / "image_cloud.ini"
    home = {"IMAGE_CLOUD_CONFIG": str(sample), "IMAGE_CLOUD_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", log_rotation.__name__, str(log), str(tmp_path / "no.pid")],
        env=os.environ | home, input="eventname:TICK_60 len:0\n",
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.stdout == "READY\nRESULT 2\nOKREADY\n"
    assert "no.pid" in words(ended.stderr.strip())["reason"]
