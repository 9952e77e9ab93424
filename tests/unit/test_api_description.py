"""What is told about the API holds: the OpenAPI document, the docs, nginx's words, and the routes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from image_cloud.api import reference
from image_cloud.api.endpoints import Operation, operations
from image_cloud.api.openapi import document
from image_cloud.api.problems import OF_THE_SERVER, every_problem
from image_cloud.config.sections import ENCODABLE, Resize
from image_cloud.request.parameter import Parameter
from image_cloud.request.params import ImageParameters, ThumbnailParameters
from image_cloud.request.query import Query

ROOT = Path(__file__).parents[2]
OPERATIONS = operations(Resize(), ENCODABLE)


def test_the_docs_are_made_of_the_table() -> None:
    for name in reference.FILES:
        text = (ROOT / "docs" / name).read_text()
        assert text == reference.filled(text), "run python -m image_cloud.api.reference"


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    apps = [ROOT / f"falcon_app/{pool}/app.py" for pool in ("front", "control")]
    routes = {
        found
        for path in apps
        for found in re.findall(r'add_route\(\s*"(/[^"]*)"', path.read_text())
        if not found.startswith("/_")
    }
    assert routes == {one.path for one in OPERATIONS}
    headings = re.findall(r"<!-- (\w+) (\S+) -->", (ROOT / "docs/api.md").read_text())
    told = {(method, path) for method, path in headings}
    assert told <= {(one.method, one.path) for one in OPERATIONS}


@pytest.mark.parametrize(
    ("name", "attribute"), [("code", "code"), ("title", "title"), ("detail", "advice")]
)
def test_nginx_uses_the_same_words(name: str, attribute: str) -> None:
    text = (ROOT / "nginx/maps/problems.conf").read_text()
    table = re.search(
        rf"map \$status \$image_cloud_problem_{name} \{{\n(.*?)\n\}}", text, re.DOTALL
    )
    assert table
    rows = dict(re.findall(r'^ +(\d{3}) "?(.*?)"?;$', table[1], re.MULTILINE))
    assert rows == {str(one.status): getattr(one, attribute) for one in OF_THE_SERVER}


def test_nginx_logs_the_address_of_every_endpoint() -> None:
    text = (ROOT / "nginx/maps/access_log.conf").read_text()
    known = re.search(r"/\((get_image.*?)\)\?\)", text)
    assert known
    logged = {f"/{name}" for name in known[1].replace("\\", "").split("|")}
    assert logged == {one.path for one in OPERATIONS}


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")
def test_an_operation_tells_its_parameters_and_problems(one: Operation) -> None:
    told = document(OPERATIONS)["paths"][one.path][one.method.lower()]
    assert [it["name"] for it in told["parameters"]] == [it.name for it in one.parameters]
    statuses = {it.status for it in one.answers} | {it.status for it in one.problems()}
    assert {int(status) for status in told["responses"]} == statuses
    assert bool(told["security"]) == bool(one.scope)


def test_operation_ids_are_unique_and_problems_have_advice() -> None:
    paths = document(OPERATIONS)["paths"].values()
    ids = [one["operationId"] for path in paths for one in path.values()]
    assert len(set(ids)) == len(ids)
    assert all(one.title and one.advice for one in every_problem())


@pytest.mark.parametrize(
    "parameter",
    [*ImageParameters(Resize(), ENCODABLE).all(), *ThumbnailParameters(Resize()).all()],
    ids=lambda one: one.name,
)
def test_a_schema_tells_the_default(parameter: Parameter[object]) -> None:
    schema = parameter.schema()
    if "default" in schema:
        assert parameter.of(Query("")) == schema["default"]
        told = str(schema["default"]).lower()
        assert parameter.of(Query(f"{parameter.name}={told}")) == schema["default"]


def test_nginx_knows_every_parameter_of_a_picture() -> None:
    """One that it did not know would make no difference to what it answers alone."""
    lua = (ROOT / "nginx/lua/hot_path.lua").read_text()
    table = re.search(r"local KNOWN = \{(.*?)\}", lua, re.DOTALL)
    assert table
    known = set(re.findall(r"(\w+) = ", table[1]))
    image, thumbnail = ImageParameters(Resize(), ENCODABLE), ThumbnailParameters(Resize())
    assert known == image.names() | thumbnail.names() | {"token", "signature"}
