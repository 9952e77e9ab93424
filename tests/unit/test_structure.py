"""What holds for the code as a whole: which part may import which, and that every error has a status."""

import ast
from pathlib import Path

from image_cloud import errors
from image_cloud.api.problems import STATUS, status_of

ROOT = Path(__file__).parents[2]

# A folder may import from its own row and the rows above; the folders of a pool or daemon are one part.
ROWS = [
    ["image_cloud", "image_cloud.errors", "image_cloud.loading"],
    ["image_cloud.picture", "image_cloud.process", "image_cloud.config", "image_cloud.metrics"],
    ["image_cloud.request", "image_cloud.resize"],
    ["image_cloud.origin", "image_cloud.db", "image_cloud.politeness"],
    ["image_cloud.storage"],
    ["image_cloud.cluster", "image_cloud.prefetch", "image_cloud.decoding"],
    [
        "image_cloud.fetch",
        "image_cloud.bulk",
        "image_cloud.explain",
        "image_cloud.history",
        "image_cloud.similar",
    ],
    ["image_cloud.refresh"],
    ["image_cloud.api"],
    ["image_cloud.node", "image_cloud.node_files"],
    ["image_cloud.supervision"],
    ["image_cloud.host", "image_cloud.stack", "image_cloud.pages"],
    ["falcon_app", "daemons", "image_cloud.cli", "image_cloud.client"],
]
APART = {"falcon_app", "daemons"}
OURS = {"image_cloud", "bench", *APART}
MOST_MODULES = 14


def row_of(module: str) -> tuple[int, str]:
    parts = module.split(".")
    folder = ".".join(parts[:2]) if parts[0] == "image_cloud" else parts[0]
    found = [number for number, row in enumerate(ROWS) if folder in row]
    assert found, f"{folder} stands in no row: add it to ROWS"
    return found[0], folder


def imports(path: Path) -> set[str]:
    """Return the modules of ours that a file imports."""
    ours = {"image_cloud", *APART}
    return {name for name in all_imports(path) if name.partition(".")[0] in ours}


def all_imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            package = ROOT / node.module.replace(".", "/")
            for alias in node.names:
                deeper = (package / f"{alias.name}.py").exists() or (package / alias.name).is_dir()
                found.add(f"{node.module}.{alias.name}" if deeper else node.module)
    return found


def test_imports_go_one_way() -> None:
    wrong = []
    for package in ("image_cloud", "falcon_app", "daemons"):
        for path in (ROOT / package).rglob("*.py"):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
                ".__init__"
            )
            row, part = row_of(module)
            for name in imports(path):
                other_row, other_part = row_of(name)
                if other_row > row or ({part, other_part} == APART):
                    wrong.append(f"{module} imports {name}")
    assert not wrong


def test_a_resource_parses_calls_the_core_and_sets_headers() -> None:
    """What handles errors, files, rows or pixels belongs into image_cloud."""
    core = {"os", "pathlib", "contextlib", "shutil", "PIL", "psycopg2", "image_cloud.db"}
    wrong = []
    for path in [ROOT / "falcon_app/health.py", *(ROOT / "falcon_app").glob("*/*.py")]:
        if path.name == "app.py":
            continue  # it wires
        wrong += [
            f"{path}: {n}"
            for n in all_imports(path)
            if n in core or n.startswith("image_cloud.db.")
        ]
        tree = ast.walk(ast.parse(path.read_text()))
        wrong += [f"{path}: try" for node in tree if isinstance(node, ast.Try)]
    assert not wrong


def test_no_folder_is_too_full_or_holds_one_module() -> None:
    for package in ("image_cloud", "falcon_app", "daemons"):
        for folder in (ROOT / package).rglob("__init__.py"):
            parts = [path for path in folder.parent.iterdir() if path != folder and _is_code(path)]
            most = 30 if folder.parent.name == "image_cloud" else MOST_MODULES
            assert 2 <= len(parts) <= most, folder.parent


def test_no_pool_and_no_daemon_imports_another() -> None:
    wrong = []
    for package in sorted(APART):
        parts = {path.name for path in (ROOT / package).iterdir() if path.is_dir()}
        for part in parts:
            others = tuple(f"{package}.{name}" for name in parts - {part})
            for path in (ROOT / package / part).rglob("*.py"):
                wrong += [f"{path} imports {n}" for n in imports(path) if n.startswith(others)]
    assert not wrong


def test_the_core_knows_nothing_of_the_web_framework() -> None:
    for package in ("image_cloud", "daemons"):
        for path in (ROOT / package).rglob("*.py"):
            assert "falcon" not in {name.partition(".")[0] for name in all_imports(path)}, path


def test_no_test_patches_our_own_code() -> None:
    """What a test wants otherwise is handed in: a fake, a clock, a size."""
    wrong = []
    for path in (ROOT / "tests").rglob("*.py"):
        tree = ast.parse(path.read_text())
        ours = {name for node in ast.walk(tree) for name in _names_of_ours(node)}
        patched = {name for node in ast.walk(tree) for name in _patched(node)}
        wrong += [f"{path} patches {name}" for name in patched & (ours | OURS)]
    assert not wrong


def _names_of_ours(node: ast.AST) -> list[str]:
    """Return the names that an import gives to modules, classes and functions of ours."""
    if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in OURS:
        return [alias.asname or alias.name for alias in node.names]
    if isinstance(node, ast.Import):
        return [a.asname for a in node.names if a.asname and a.name.partition(".")[0] in OURS]
    return []


def _patched(node: ast.AST) -> list[str]:
    """Return the first part of what an assignment, or a call of setattr or patch, changes."""
    if isinstance(node, ast.Assign):
        return [_root(target) for target in node.targets if isinstance(target, ast.Attribute)]
    if isinstance(node, ast.Call) and node.args:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if name in ("setattr", "delattr", "patch", "object"):
            return [_root(node.args[0])]
    return []


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    if isinstance(node, ast.Constant):
        return str(node.value).partition(".")[0]
    return getattr(node, "id", "")


def _is_code(path: Path) -> bool:
    return path.suffix == ".py" or (path / "__init__.py").exists()


def test_every_error_has_a_status_a_code_and_a_title_of_its_own() -> None:
    classes = errors.subclasses()
    assert all(400 <= status_of(cls) <= 599 for cls in classes)
    assert set(STATUS) <= set(classes)
    assert len({cls.code for cls in classes}) == len(classes)
    assert all(cls.__doc__ and cls.title() and cls.advice() for cls in classes)
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


def test_state_files_and_locks_have_one_way_each() -> None:
    """A temporary file that is renamed, and a lock, are easy to get slightly wrong."""
    ways = {
        "os.replace(": {"image_cloud/process/json_file.py"},
        "import fcntl": {
            "image_cloud/process/locks.py",
            "image_cloud/storage/folders.py",  # a folder's flags
        },
        "st_mtime_ns": {
            "image_cloud/process/reread.py",
            "image_cloud/storage/local/checks.py",
            "image_cloud/storage/files.py",
        },
    }
    found: dict[str, set[str]] = {word: set() for word in ways}
    for package in ("image_cloud", "falcon_app", "daemons"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            for word in ways:
                if word in text:
                    found[word].add(str(path.relative_to(ROOT)))
    assert found == ways
