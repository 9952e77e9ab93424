"""The generated parts of docs/api.md and docs/errors.md: `python -m image_cloud.api.reference`.

A part stands between `<!-- NAME -->` and `<!-- end -->`; what is around it is written by hand.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

from image_cloud.api.endpoints import Operation, operations
from image_cloud.api.problems import every_problem
from image_cloud.config.sections import ENCODABLE, Resize
from image_cloud.request.parameter import Parameter

DOCS = Path(__file__).parents[2] / "docs"
PART = re.compile(r"(<!-- (?:(GET|POST|DELETE) (\S+)|errors) -->)\n.*?<!-- end -->", re.DOTALL)
FILES = ("api.md", "errors.md")


def filled(text: str) -> str:
    """Return a document with its generated parts made anew."""
    known = {(one.method, one.path): one for one in operations(Resize(), ENCODABLE)}

    def fill(match: re.Match[str]) -> str:
        head, method, path = match.groups()
        body = _endpoint(known[method, path]) if method else _errors()
        return f"{head}\n\n{body}\n<!-- end -->"

    return PART.sub(fill, text)


def _endpoint(one: Operation) -> str:
    scope = f"Scope `{one.scope}`." if one.scope else "No token."
    lines = [f"{one.summary} {scope}", ""]
    if one.parameters:
        lines += ["| parameter | values | default | meaning |", "|---|---|---|---|"]
        lines += [_parameter(parameter) for parameter in one.parameters]
        lines.append("")
    lines += [_wrapped("Answers: " + "; ".join(f"{it.status}: {it.meaning}" for it in one.answers))]
    own = sorted({f"`{problem.code}`" for problem in one.own_problems()})
    if own:
        lines += ["", _wrapped("Errors besides those of every endpoint: " + ", ".join(own))]
    return "\n".join([*lines, ""])


def _wrapped(text: str) -> str:
    return textwrap.fill(f"{text}.", 120, break_long_words=False, break_on_hyphens=False)


def _parameter(one: Parameter[Any]) -> str:
    schema = one.schema()
    names = ", ".join(f"`{name}`" for name in (one.name, *one.spellings))
    default = "required" if one.is_required else str(schema.get("default", "none")).lower()
    return f"| {names} | {_values(schema)} | {default} | {one.meaning} |"


def _values(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "maximum" in schema:
        return f"{schema['minimum']} to {schema['maximum']}"
    return {"boolean": "true, false, 1, 0", "string": "text"}[schema["type"]]


def _errors() -> str:
    lines = ["| status | code | meaning | what to do |", "|---|---|---|---|"]
    lines += [
        f"| {one.status} | `{one.code}` | {one.title} | {one.advice} |" for one in every_problem()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the parts anew."""
    for name in FILES:
        path = DOCS / name
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    main()
