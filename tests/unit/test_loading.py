"""Modules that are imported late or not at all: who uses them all the same gets the real ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IS_POSTPONED = """
import sys
from image_cloud.loading import postpone
postpone("colorsys", "json")
import colorsys
assert "rgb_to_hsv" not in vars(sys.modules["colorsys"]), "not yet"
"""


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    "use",
    [
        "assert colorsys.rgb_to_hsv(1, 1, 1) == (0, 0, 1)",
        "from colorsys import rgb_to_hsv; assert 'rgb_to_hsv' in vars(sys.modules['colorsys'])",
        "colorsys.rgb_to_hsv; import colorsys as again; assert again.__file__",
        "import json; assert json.loads('[1]') == [1]",
    ],
)
def test_a_postponed_module_comes_with_its_first_use(use: str) -> None:
    run(IS_POSTPONED + use)


def test_of_a_postponed_module_threads_have_it_at_the_same_time() -> None:
    use = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda _: colorsys.rgb_to_hsv(1, 1, 1), range(100)))
"""
    run(IS_POSTPONED + use)


def test_what_is_missing_is_an_attribute_error() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        run(IS_POSTPONED + "colorsys.nothing")
    run(IS_POSTPONED + "assert not hasattr(colorsys, 'nothing')")


def test_whoever_wants_what_falcon_is_loaded_without_has_the_real_thing() -> None:
    run(
        "import falcon_app, asyncio, http.cookiejar as c; asyncio.run(asyncio.sleep(0)); c.CookieJar()"
    )


def test_dataclasses_and_tls_work() -> None:
    run(
        "import image_cloud, dataclasses, ssl\n"
        "made = dataclasses.make_dataclass('Point', ['x'])\n"
        "assert made(1) == made(1) and made.__doc__.startswith('Point(x')\n"
        "assert ssl.create_default_context().check_hostname\n"
        "assert issubclass(ssl.SSLError, OSError)"
    )
