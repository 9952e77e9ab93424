"""`make deploy-test`: four Debian 12 hosts on this machine, deployed to over ssh as real ones are.

The hosts are systemd-nspawn containers on overlay copies of one debootstrap.  Everything runs in namespaces
of its own (mounts, network, processes): when the outer process ends, however that comes about, the kernel
ends all of it.

    make deploy-test                             all stages
    make deploy-test ARGS="--list"               which there are
    make deploy-test ARGS="--stages deploy,reboot"   some of them, in the given order
    make deploy-test ARGS="--keep"               leave the hosts running afterwards, until Ctrl-C
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback

from tests import apart
from tests.deploy import stages, world
from tests.deploy.world import World


def main() -> int:
    """Run the stages; 0 when all passed."""
    arguments = parse()
    if arguments.list:
        for name, stage in stages.STAGES.items():
            print(f"{name:<17} {(stage.__doc__ or '').splitlines()[0]}")
        return 0
    apart.heed_signals()
    if not arguments.inside:
        return world.outside(sys.argv[1:])
    return inside(arguments)


def inside(arguments: argparse.Namespace) -> int:
    """Run the stages in the namespaces that `world.outside` made."""
    wanted = arguments.stages.split(",") if arguments.stages else list(stages.STAGES)
    began = time.monotonic()
    with World(arguments.inside, joins=arguments.join) as hosts:
        passed = run(hosts, wanted)
        if arguments.keep:
            hosts.linger()
    seconds = time.monotonic() - began
    print(
        f"deploy-test: {passed} passed, {len(wanted) - passed} failed in {seconds:.0f} s",
        flush=True,
    )
    print(f"{passed} passed, {len(wanted) - passed} failed", flush=True)
    return int(passed != len(wanted))


def run(hosts: World, wanted: list[str]) -> int:
    """Run stages until one fails, since each goes on from the one before; return how many passed."""
    for number, name in enumerate(wanted):
        began = time.monotonic()
        print(f"deploy-test: {name} ...", flush=True)
        try:
            stages.STAGES[name](hosts)
        except Exception:
            traceback.print_exc()
            print(f"deploy-test: {name} FAILED; playbooks' output is in {hosts.log}", flush=True)
            print(hosts.last_lines(), flush=True)
            return number
        print(f"deploy-test: {name} passed after {time.monotonic() - began:.0f} s", flush=True)
    return len(wanted)


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(prog="make deploy-test ARGS=...")
    parser.add_argument("--list", action="store_true", help="name the stages")
    parser.add_argument("--stages", help="only these, separated by commas")
    parser.add_argument("--keep", action="store_true", help="leave the hosts running afterwards")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--join", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = set((arguments.stages or "").split(",")) - {"", *stages.STAGES}
    if unknown:
        parser.error(f"no stage is called {', '.join(sorted(unknown))}")
    if os.geteuid() != 0:
        parser.error("needs root")
    return arguments


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
