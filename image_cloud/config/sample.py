"""Write the commented sample: every section, every option, every default."""

from __future__ import annotations

import sys

from image_cloud.config.load import options, section_types
from image_cloud.config.sections import Config

HEAD = """\
# Image Cloud's configuration: every option with its default.
# `image-cloud config check` reports every mistake in a copy of it.
# Made by `python -m image_cloud.config.sample`; the options stand in image_cloud/config/sections.py.
"""


def render(config: Config | None = None, *, comments: bool = True) -> str:
    """Return the text of an ini with every value of `config` (the defaults if None)."""
    config = config or Config()
    parts = [HEAD] if comments else []
    for name, section_type in section_types().items():
        section = getattr(config, name)
        parts.append(f"\n[{name}]\n")
        if comments:
            parts[-1] += f"# {(section_type.__doc__ or '').strip()}\n"
        for option_name, option in options(section_type).items():
            if comments:
                help_lines = [*option.help.splitlines(), f"Form: {option.form}."]
                parts.append("\n" + "".join(f"# {line}\n" for line in help_lines))
            parts.append(
                f"{option_name} = {option.show(getattr(section, option_name))}".rstrip() + "\n"
            )
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render())
