"""`make shared-storage-test`: two nodes on a GlusterFS volume and one PostgreSQL, and all that breaks there.

Everything runs in namespaces of its own: when the outer process ends, the kernel ends all of it.

    make shared-storage-test                                 all stages
    make shared-storage-test ARGS="--list"                   which there are
    make shared-storage-test ARGS="--only quorum,compare"    some of them, in the given order
    make shared-storage-test ARGS="--seconds 60"             each fault for so long
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests import apart
from tests.shared_storage.stages import STAGES
from tests.shared_storage.volume import why_not
from tests.shared_storage.world import World


def main() -> int:
    """Run the stages; 0 when all passed."""
    arguments = parse()
    if arguments.list:
        for name, stage in STAGES.items():
            print(f"{name:<16}{(stage.__doc__ or '').splitlines()[0]}")
        return 0
    if reason := why_not():
        print(f"shared-storage-test: not on this machine: {reason}", file=sys.stderr)
        return 1
    apart.heed_signals()
    if not arguments.inside:
        return apart.run("tests.shared_storage", ["--inside", *sys.argv[1:]])
    return inside(arguments)


def inside(arguments: argparse.Namespace) -> int:
    """Run the stages in the namespaces that `apart` made."""
    names = arguments.only.split(",") if arguments.only else list(STAGES)
    began = time.monotonic()
    print("shared-storage-test: two nodes start on the volume ...", flush=True)
    with World(arguments.seconds) as world:
        failed = [name for name in names if not passes(world, name)]
    seconds = time.monotonic() - began
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed in {seconds:.0f} s", flush=True)
    return int(bool(failed))


def passes(world: World, name: str) -> bool:
    """Run a stage; say whether it passed, and print why not."""
    began = time.monotonic()
    print(f"shared-storage-test: {name} ...", flush=True)
    try:
        STAGES[name](world)
    except Exception:
        traceback.print_exc()
        print(f"shared-storage-test: {name} FAILED", flush=True)
        return False
    print(f"shared-storage-test: {name} passed after {time.monotonic() - began:.0f} s", flush=True)
    return True


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(prog="make shared-storage-test ARGS=...")
    parser.add_argument("--list", action="store_true", help="name the stages")
    parser.add_argument("--only", help="only these, separated by commas")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long each fault lasts")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if unknown := set((arguments.only or "").split(",")) - {"", *STAGES}:
        parser.error(f"no stage is called {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
