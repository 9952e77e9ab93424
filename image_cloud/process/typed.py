"""Checks the types of untrusted JSON values."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Fit = Callable[[Any], Any]


def fit(kind: type[T], value: Any) -> T:
    """Return a JSON value as a `kind`.  Raises ValueError where it is none.

    `kind` is a dataclass, a plain type, or a list, tuple, dict (by name) or union of such.
    Of an object that becomes a dataclass, unknown names are passed over: a newer version may write more.
    """
    return typing.cast(T, _fitter(typing.cast(Any, kind))(value))


@functools.cache
def _fitter(kind: Any) -> Fit:
    """Return the converter of a value to `kind`; it raises ValueError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = {one.name: _fitter(hints[one.name]) for one in dataclasses.fields(kind)}
        return functools.partial(_fit_dataclass, kind, fields)
    if origin is types.UnionType:
        kinds = [_fitter(one) for one in arguments if one is not types.NoneType]
        fit_one = kinds[0] if len(kinds) == 1 else functools.partial(_fit_any, kinds)
        return functools.partial(_fit_optional, fit_one) if len(kinds) < len(arguments) else fit_one
    if origin in (list, tuple):
        return functools.partial(_fit_items, origin, _fitter(arguments[0]))
    if origin is dict:
        return functools.partial(_fit_dict, _fitter(arguments[1]))
    return functools.partial(_fit_plain, kind)


def _fit_dataclass(kind: Any, fields: dict[str, Fit], value: Any) -> Any:
    if type(value) is not dict:
        raise ValueError(f"not a {kind.__name__}")
    known = {name: fields[name](one) for name, one in value.items() if name in fields}
    try:
        return kind(**known)
    except TypeError:  # a field is missing
        raise ValueError(f"not a {kind.__name__}") from None


def _fit_optional(fit_one: Fit, value: Any) -> Any:
    return None if value is None else fit_one(value)


def _fit_any(kinds: list[Fit], value: Any) -> Any:
    for fit_one in kinds:
        with contextlib.suppress(ValueError):
            return fit_one(value)
    raise ValueError("none of the expected kinds")


def _fit_items(kind: Any, item: Fit, value: Any) -> Any:
    if type(value) is not list:
        raise ValueError("not a list")
    return kind(map(item, value))


def _fit_dict(item: Fit, value: Any) -> Any:
    if type(value) is not dict:
        raise ValueError("not an object")
    return {_fit_plain(str, name): item(one) for name, one in value.items()}


def _fit_plain(kind: Any, value: Any) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ValueError(f"not a {kind.__name__}")
    if kind is str:
        value.encode()  # no half of a surrogate pair
    return value
