"""Imports modules without what they import in turn and hardly use: megabytes in each process.

They have no switch for that, so a stand-in takes the other module's place.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Mapping, Sequence


class _StandIn(types.ModuleType):
    """A module that is imported once something of it is used."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        _withdraw(self)
        return getattr(importlib.import_module(self.__name__), name)


def postpone(*modules: str) -> None:
    """Have `modules` imported when something of them is used, not when somebody imports them."""
    for name in modules:
        sys.modules.setdefault(name, _StandIn(name))


def load(module: str, without: Mapping[str, Sequence[str]]) -> None:
    """Import `module` without others, given with the names that it takes from them at once.

    It can use nothing of them ever; whoever imports them afterwards gets the real ones.
    """
    stand_ins = [_empty(name, taken) for name, taken in without.items() if name not in sys.modules]
    sys.modules.update({stand_in.__name__: stand_in for stand_in in stand_ins})
    try:
        importlib.import_module(module)
    finally:
        for stand_in in stand_ins:
            _withdraw(stand_in)


def _empty(name: str, taken: Sequence[str]) -> types.ModuleType:
    module = types.ModuleType(name)
    for attribute in taken:
        setattr(module, attribute, type(attribute, (), {}))
    return module


def _withdraw(stand_in: types.ModuleType) -> None:
    if sys.modules.get(stand_in.__name__) is stand_in:
        del sys.modules[stand_in.__name__]
