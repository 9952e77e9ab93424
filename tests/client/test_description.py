"""What the client library knows of the server, held to the server; and what the wheels have in them."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from image_cloud import errors
from image_cloud.api import answers, client_errors
from image_cloud.api.problems import every_problem
from image_cloud.config.sections import ENCODABLE, Resize
from image_cloud.request.params import ImageParameters, InfoParameters, ThumbnailParameters
from image_cloud_client import Client
from image_cloud_client import errors as clients
from image_cloud_client.info import Info, Validators
from image_cloud_client.options import IMAGE, THUMBNAIL

ROOT = Path(__file__).parents[2]
CHECK = """
import sys
sys.path.insert(0, sys.argv[1])
import image_cloud_client
assert not {name.partition(".")[0] for name in sys.modules} & {"image_cloud", "fsspec", "PIL"}
assert image_cloud_client.__file__.startswith(sys.argv[1])
"""


def test_the_errors_are_written_from_the_servers() -> None:
    """python -m image_cloud.api.client_errors > client/image_cloud_client/errors.py"""
    assert (ROOT / "client/image_cloud_client/errors.py").read_text() == client_errors.text()


def test_each_problem_code_is_a_class_in_the_same_tree() -> None:
    for problem in every_problem():
        found = clients.by_code(problem.code)
        assert found is not None, problem.code
        assert found.code == problem.code
    for cls in errors.subclasses()[1:]:
        same = clients.by_code(cls.code)
        assert same is not None
        assert same.__bases__[0].__name__ == cls.__bases__[0].__name__
    assert clients.by_code("from the future") is None


def test_the_options_are_the_parameters_of_the_server() -> None:
    image = set(ImageParameters(Resize(), ENCODABLE).names())
    assert image - {"url", "use_alternative_clouds"} == IMAGE
    assert set(ThumbnailParameters(Resize()).names()) - {"url", "size"} == THUMBNAIL


def test_what_is_known_of_a_picture_is_typed_as_the_server_describes_it() -> None:
    [schema] = answers.INFO.media.values()
    assert set(Info.__annotations__) == set(schema["properties"])
    origin = schema["properties"]["origin"]
    assert set(Validators.__annotations__) == set(origin["properties"])
    accepted = set(inspect.signature(Client.info).parameters) - {"self"}
    assert accepted == {one.name for one in InfoParameters().all()}


def wheel(folder: Path, source: Path) -> set[str]:
    """Build a wheel of `source`, unpack it beside itself, and return what is in it."""
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index",
            "-w", folder, source,
        ],
        check=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
        return set(archive.namelist())


def test_the_clients_wheel_needs_nothing_of_the_server(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "client", tmp_path / "client")
    names = wheel(tmp_path, tmp_path / "client")
    assert {"image_cloud_client/py.typed", "image_cloud_client/adapters/filesystem.py"} <= names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"image_cloud_client"}
    subprocess.run([sys.executable, "-c", CHECK, tmp_path / "unpacked"], check=True, cwd=tmp_path)


def test_the_servers_wheel_carries_the_client(tmp_path: Path) -> None:
    for name in ("image_cloud", "falcon_app", "daemons", "client"):
        shutil.copytree(ROOT / name, tmp_path / "code" / name)
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path / "code")
    names = wheel(tmp_path, tmp_path / "code")
    assert {
        "image_cloud_client/py.typed",
        "image_cloud/client.py",
        "falcon_app/front/app.py",
    } <= names
    assert "image_cloud/db/migrations/0001_images.sql" in names
    assert not [name for name in names if name.startswith(("client/", "examples"))]
