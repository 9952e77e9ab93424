"""Loads Falcon without what only its ASGI half and one of its types need: 2.6 MB in each pool's master.

Falcon has no switch for that.  Stand-ins take the modules' places while it is loaded, and no longer.
"""

from __future__ import annotations

import importlib
import sys
import types

LEFT_OUT = {"asyncio": ("create_task", "get_running_loop"), "http.cookiejar": ("Cookie",)}
"""The modules, with the names that Falcon takes from them at once."""


def load_falcon() -> None:
    """Import Falcon; whoever wants the modules afterwards gets the real ones."""
    stand_ins = {name: _stand_in(name) for name in LEFT_OUT if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        importlib.import_module("falcon")
    finally:
        for name in stand_ins:
            del sys.modules[name]


def _stand_in(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    for attribute in LEFT_OUT[name]:
        setattr(module, attribute, type(attribute, (), {}))
    return module
