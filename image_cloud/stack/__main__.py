"""`python -m image_cloud.stack run|up|down`: what `make` calls, in the checkout's folder."""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from image_cloud.config import ConfigError
from image_cloud.node_files import home
from image_cloud.node_files.errors import CannotStart
from image_cloud.process.sockets import split
from image_cloud.stack.stack import Stack


def main() -> int:
    """Do what the one argument says; 0 when it is done, else 1 and the reason in one line."""
    parser = argparse.ArgumentParser(prog="image_cloud.stack")
    parser.add_argument("command", choices=COMMANDS)
    command = COMMANDS[parser.parse_args().command]
    os.umask(0o022)
    # SIGINT too: a shell starts what it puts in the background with SIGINT ignored, and Python leaves it so.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        place = home.from_environment(os.environ, Path.cwd())
        return command(Stack(place, Path.cwd(), os.environ, say))
    except CannotStart as error:
        if error.evidence:
            print(error.evidence.rstrip(), file=sys.stderr)
        return refuse(str(error))
    except ConfigError as error:
        return refuse(str(error))
    except OSError as error:
        return refuse(_explain(error))
    except KeyboardInterrupt:
        return refuse("interrupted")


def up(stack: Stack) -> int:
    """Start in the background; return once it serves."""
    began = time.monotonic()
    if not stack.start():
        say(f"already up at {url(stack)}")
        return 0
    say(f"ready at {url(stack)} after {time.monotonic() - began:.1f} s")
    introduce(stack, with_token=stack.is_new, ends="make down")
    return 0


def run(stack: Stack) -> int:
    """Start in the foreground; return when told to stop, with everything stopped."""
    if not stack.start(foreground=True):
        say(f"already up in the background at {url(stack)}; make down stops it")
        return 0
    try:
        say(f"ready at {url(stack)}")
        introduce(stack, with_token=True, ends="Ctrl-C")
        stack.wait()
        return refuse(f"supervisord ended; its log is {stack.home.log}/supervisord.log")
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        say("stopping")
        return 0
    finally:
        stack.stop()


def down(stack: Stack) -> int:
    """Stop everything that belongs to the home."""
    say("stopped" if stack.stop() else "nothing runs")
    return 0


COMMANDS = {"up": up, "run": run, "down": down}


def introduce(stack: Stack, *, with_token: bool, ends: str) -> None:
    """Print how to use a stack that has just started."""
    token, conf = (_short(path) for path in (stack.home.token, stack.home.supervisord_conf))
    supervisorctl = _short(Path(sys.prefix) / "bin/supervisorctl")
    picture = f"http://{stack.config.download.sample_origin}/dusk.jpg"
    rows = [
        (
            "token",
            f"in {token}" + (f": {stack.home.token.read_text().strip()}" if with_token else ""),
        )
    ]
    # The token goes to curl through a pipe: a command line is for everybody to see.
    rows.append(
        (
            "try",
            f"sed 's/^/X-Image-Cloud-Token: /' {token} | curl -f -H @- -o dusk.jpg "
            f"'{url(stack)}/get_thumbnail?size=250&url={picture}'",
        )
    )
    rows.append(("status", f"{supervisorctl} -c {conf} status"))
    rows.append(("stop", ends))
    for name, text in rows:
        print(f"  {name + ':':<8}{text}", flush=True)


def url(stack: Stack) -> str:
    """Return the address that a browser on this machine takes."""
    address, port = split(stack.config.node.listen)
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def say(line: str) -> None:
    """Print one line to the person who asked."""
    print(f"image cloud: {line}", flush=True)


def refuse(reason: str) -> int:
    """Print why it is not done and return the exit code of that."""
    print(f"image cloud: {reason}", file=sys.stderr, flush=True)
    return 1


def _explain(error: OSError) -> str:
    where = error.filename or "?"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {where}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"missing right: {where}: {error.strerror}"
    return f"{where}: {error.strerror or error}"


def _short(path: Path) -> str:
    """Return `path` as it is typed in this folder."""
    inside = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return shlex.quote(str(inside))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
