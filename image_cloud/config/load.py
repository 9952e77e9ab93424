"""Read `image_cloud.ini` and report every mistake in it at once."""

from __future__ import annotations

import configparser
import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from image_cloud.config.checks import contradictions
from image_cloud.config.fields import Option
from image_cloud.config.sections import Config

Settings = dict[str, dict[str, str]]
Check = Callable[[Config], Iterable[str]]  # yields a line for each mistake


class ConfigError(Exception):
    """The configuration has mistakes; `problems` lists each in one line.

    `source` names the file; each problem names section, option and expected form.
    """

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = problems
        lines = "\n".join(f"  {problem}" for problem in problems)
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"{source}: {count}\n{lines}")


def section_types() -> dict[str, type]:
    """Return the section names and their dataclasses, in the order of the file."""
    defaults = Config()
    return {
        field.name: type(getattr(defaults, field.name))
        for field in dataclasses.fields(Config)
        if field.name != "home"
    }


def options(section: type) -> dict[str, Option]:
    """Return the options of one section's dataclass."""
    return {field.name: field.metadata["option"] for field in dataclasses.fields(section)}


def load_config(
    file: Path | None, *, home: str = "", overrides: str = "", checks: Iterable[Check] = ()
) -> Config:
    """Read `file` (None: defaults alone) and then `overrides` (`section.option=value;...`).

    `{home}` in a value becomes `home`.  `checks` know what the options alone do not tell; one that
    cannot be read has its default there.  Raises ConfigError that lists every mistake.
    """
    problems: list[str] = []
    settings = _read_file(file, problems) if file else {}
    for section, values in _read_overrides(overrides, problems).items():
        settings.setdefault(section, {}).update(values)
    unread: set[str] = set()
    config = _build(settings, home, problems, unread)
    problems.extend(contradictions(config, unread))
    for check in checks:
        problems.extend(check(config))
    if problems:
        raise ConfigError(str(file) if file else "configuration", problems)
    return config


def config_from_environment(checks: Iterable[Check] = ()) -> Config:
    """Read the file that IMAGE_CLOUD_CONFIG names, as a process of a running node does.

    Raises KeyError without that variable, ConfigError.
    """
    home = os.environ.get("IMAGE_CLOUD_HOME", "")
    return load_config(Path(os.environ["IMAGE_CLOUD_CONFIG"]), home=home, checks=checks)


def _read_file(file: Path, problems: list[str]) -> Settings:
    try:
        content = file.read_text(encoding="utf-8")
        return _parse(content, problems)
    except OSError as error:
        problems.append(f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        problems.append(f"is not UTF-8 at byte {error.start}")
    except configparser.Error as error:
        problems.append(" ".join(str(error).split()))
    return {}


def _parse(content: str, problems: list[str], *, strict: bool = True) -> Settings:
    parser = configparser.ConfigParser(interpolation=None, default_section="\0", strict=strict)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(content, source="the file")
    except (configparser.DuplicateOptionError, configparser.DuplicateSectionError) as error:
        problems.append(" ".join(str(error).split()))
        return _parse(content, problems, strict=False)
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _read_overrides(overrides: str, problems: list[str]) -> Settings:
    settings: Settings = {}
    for part in filter(str.strip, overrides.split(";")):
        name, equals, value = part.partition("=")
        section, dot, option = name.strip().partition(".")
        if not (equals and dot and section and option):
            problems.append(f"IMAGE_CLOUD_SET: {part.strip()!r} is not section.option=value")
            continue
        settings.setdefault(section, {})[option] = value.strip()
    return settings


def _build(settings: Settings, home: str, problems: list[str], unread: set[str]) -> Config:
    """Read every section; note in `unread` the options that keep their default for a mistake."""
    sections: dict[str, Any] = {}
    types = section_types()
    problems.extend(
        f"[{name}] is not a section{_suggest(name, types)}"
        for name in settings
        if name not in types
    )
    for name, section_type in types.items():
        given = settings.get(name, {})
        sections[name] = _build_section(name, section_type, given, home, problems, unread)
    return Config(home=home, **sections)


def _build_section(
    name: str,
    section_type: type,
    raw: Mapping[str, str],
    home: str,
    problems: list[str],
    unread: set[str],
) -> Any:
    known = options(section_type)
    values: dict[str, Any] = {}
    for option_name, raw_value in raw.items():
        option = known.get(option_name)
        if option is None:
            hint = _suggest(option_name, known)
            problems.append(f"[{name}] {option_name} is not an option{hint}")
            continue
        try:
            values[option_name] = option.parse(" ".join(raw_value.split()))
        except ValueError:
            problems.append(f"[{name}] {option_name} = {raw_value!r}: expected {option.form}")
            unread.add(option_name)
    section = section_type(**values)
    homes = {
        field: value.replace("{home}", home)
        for field, value in dataclasses.asdict(section).items()
        if isinstance(value, str) and "{home}" in value
    }
    return dataclasses.replace(section, **homes)


def _suggest(name: str, known: Mapping[str, object]) -> str:
    import difflib  # for mistakes alone

    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(known)}"
