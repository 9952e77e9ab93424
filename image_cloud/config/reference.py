"""Writes docs/ini.md: `python -m image_cloud.config.reference > docs/ini.md`."""

from __future__ import annotations

import sys
from typing import Any

from image_cloud.config.fields import Option
from image_cloud.config.load import options, section_types
from image_cloud.config.sections import Config

HEAD = """\
# image_cloud.ini: every option

A file needs only what differs from the defaults. `image-cloud config check` reports every mistake at once,
with section, option and expected form, and nothing starts before they are mended; `image-cloud config
sample` prints a commented file. `{home}` stands for the home folder.
`IMAGE_CLOUD_SET="section.option=value;..."` goes over the file, for one start.
[operations.md](operations.md) says what to change when. This page is made from
`image_cloud/config/sections.py` by `python -m image_cloud.config.reference > docs/ini.md`.
"""


def render() -> str:
    """Return the text of docs/ini.md."""
    defaults = Config()
    parts = [HEAD]
    for name, section_type in section_types().items():
        section = getattr(defaults, name)
        rows = [
            _row(option_name, option, getattr(section, option_name))
            for option_name, option in options(section_type).items()
        ]
        table = ["| option | default | form | meaning |", "|---|---|---|---|", *rows]
        parts.append(
            f"## [{name}]\n\n{(section_type.__doc__ or '').strip()}\n\n" + "\n".join(table) + "\n"
        )
    return "\n".join(parts)


def _row(name: str, option: Option, default: Any) -> str:
    shown = option.show(default)
    cells = (f"`{name}`", f"`{shown}`" if shown else "empty", option.form, option.help)
    return "| " + " | ".join(_cell(text) for text in cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render())
