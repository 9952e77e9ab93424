"""What holds for the code as a whole: which part may import which, and that every error has a status."""

import ast
from pathlib import Path

from falcon_app.http_errors import STATUS, status_of
from image_cloud import errors

ROOT = Path(__file__).parents[2]

# A module may import from its own row and the rows above.
LAYERS = [
    ["image_cloud", "image_cloud.errors"],
    [
        "image_cloud.keys", "image_cloud.recipe", "image_cloud.config", "image_cloud.query",
        "image_cloud.urls", "image_cloud.params", "image_cloud.tokens", "image_cloud.signing",
        "image_cloud.endings", "image_cloud.formats", "image_cloud.codecs", "image_cloud.resize",
        "image_cloud.logs", "image_cloud.nginx_conf", "image_cloud.nginx_clients",
        "image_cloud.sockets", "image_cloud.limits", "image_cloud.heartbeat",
        "image_cloud.batches", "image_cloud.placement",
    ],
    [
        "image_cloud.disk", "image_cloud.new_file", "image_cloud.failures", "image_cloud.flights",
        "image_cloud.attempts", "image_cloud.incoming", "image_cloud.origin", "image_cloud.db",
        "image_cloud.recorder",
        "image_cloud.traffic", "image_cloud.eviction",
        "image_cloud.locks", "image_cloud.slots", "image_cloud.domains", "image_cloud.unix_http",
        "image_cloud.tombstones", "image_cloud.cluster_clock", "image_cloud.freshness",
        "image_cloud.feed_guard", "image_cloud.peers", "image_cloud.peer_states",
    ],
    ["image_cloud.gate"],
    [
        "image_cloud.cache", "image_cloud.wiring", "image_cloud.deletes", "image_cloud.audit",
        "image_cloud.importing",
    ],
    ["falcon_app", "daemons", "image_cloud.cli", "image_cloud.stack"],
]  # fmt: skip
APART = {"falcon_app", "daemons"}


def layer_of(module: str) -> tuple[int, str]:
    rows = [(n, name) for n, row in enumerate(LAYERS) for name in row]
    found = [
        (n, name) for n, name in rows
        if module == name or (name != "image_cloud" and module.startswith(name + "."))
    ]  # fmt: skip
    assert found, f"{module} stands in no layer: add it to LAYERS"
    return found[0]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            package = ROOT / node.module.replace(".", "/")
            for alias in node.names:
                deeper = (package / f"{alias.name}.py").exists() or (package / alias.name).is_dir()
                found.add(f"{node.module}.{alias.name}" if deeper else node.module)
    return {name for name in found if name.partition(".")[0] in {"image_cloud", *APART}}


def test_imports_go_one_way() -> None:
    wrong = []
    for package in ("image_cloud", "falcon_app", "daemons"):
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
                ".__init__"
            )
            layer, part = layer_of(module)
            for name in imports(path):
                other_layer, other_part = layer_of(name)
                if other_layer > layer or ({part, other_part} == APART):
                    wrong.append(f"{module} imports {name}")
    assert not wrong


def test_every_error_has_a_status_a_code_and_a_title_of_its_own() -> None:
    classes = errors.subclasses()
    assert all(400 <= status_of(cls) <= 599 for cls in classes)
    assert set(STATUS) <= set(classes)
    assert len({cls.code for cls in classes}) == len(classes)
    assert all(cls.__doc__ and cls.title() for cls in classes)
    assert all(errors.by_code(cls.code) is cls for cls in classes)
    assert errors.by_code("from the future") is errors.ImageCloudError


def test_sql_stands_in_the_database_package_alone() -> None:
    words = ("SELECT ", "INSERT INTO", "DELETE FROM", "UPDATE ")
    elsewhere = [
        str(path)
        for package in ("image_cloud", "falcon_app", "daemons")
        for path in (ROOT / package).rglob("*.py")
        if (ROOT / "image_cloud/db") not in path.parents
        and any(word in path.read_text() for word in words)
    ]
    assert not elsewhere
