"""Reads the members of decoded JSON, typed. What is missing or of the wrong type is a `ProtocolError` with its path.

Keys that are not known are ignored: a newer farm may send more.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Callable, Dict, List, Optional, TypeVar, Union

from .errors import ProtocolError

T = TypeVar("T")
Json = Dict[str, object]


def wrong(path: str, found: object, expected: str) -> ProtocolError:
    shown = repr(found)
    return ProtocolError(f"{path}: found {shown[:80]}{'…' if len(shown) > 80 else ''}, expected {expected}")


def obj(value: object, path: str) -> Json:
    if type(value) is dict:
        return value
    raise wrong(path, value, "an object")


def text(value: Json, key: str, path: str) -> str:
    found = value.get(key)
    if type(found) is str:
        return found
    raise wrong(f"{path}.{key}", found, "a string")


def optional_text(value: Json, key: str, path: str) -> Optional[str]:
    return None if value.get(key) is None else text(value, key, path)


def integer(value: Json, key: str, path: str) -> int:
    found = value.get(key)
    if type(found) is int:
        return found
    raise wrong(f"{path}.{key}", found, "an integer")


def optional_integer(value: Json, key: str, path: str) -> Optional[int]:
    return None if value.get(key) is None else integer(value, key, path)


def number(value: Json, key: str, path: str) -> float:
    found = value.get(key)
    if type(found) is float or type(found) is int:
        return found
    raise wrong(f"{path}.{key}", found, "a number")


def optional_number(value: Json, key: str, path: str) -> Optional[float]:
    return None if value.get(key) is None else number(value, key, path)


def boolean(value: Json, key: str, path: str) -> bool:
    found = value.get(key)
    if type(found) is bool:
        return found
    raise wrong(f"{path}.{key}", found, "true or false")


def optional_boolean(value: Json, key: str, path: str) -> Optional[bool]:
    return None if value.get(key) is None else boolean(value, key, path)


def items(value: Json, key: str, path: str, read: Callable[[Json, str], T]) -> List[T]:
    """An array of objects, each read by `read(item, path)`. An absent array is an empty one."""
    found = value.get(key)
    if not found and (found is None or type(found) is list):
        return []
    if type(found) is not list:
        raise wrong(f"{path}.{key}", found, "an array")
    return [read(obj(item, f"{path}.{key}[{index}]"), f"{path}.{key}[{index}]") for index, item in enumerate(found)]


def texts(value: Json, key: str, path: str) -> List[str]:
    found = value.get(key, [])
    if type(found) is list and all(type(item) is str for item in found):
        return list(found)
    raise wrong(f"{path}.{key}", found, "an array of strings")


def numbers(value: Json, key: str, path: str) -> Dict[str, int]:
    """An object whose values are integers."""
    found = obj(value.get(key, {}), f"{path}.{key}")
    return {name: integer(found, name, f"{path}.{key}") for name in found}


def content(value: Json, path: str, prefix: str = "") -> Union[str, bytes]:
    """The bytes of a content object: a `str` where they are UTF-8, as they came."""
    found = value.get(prefix + "text")
    if type(found) is str:
        return found
    encoded = value.get(prefix + "base64")
    if type(encoded) is str:
        try:
            return b64decode(encoded, validate=True)
        except ValueError:
            raise wrong(f"{path}.{prefix}base64", encoded, "base64 with padding") from None
    raise wrong(f"{path}.{prefix}text", found, "a string, or base64 in its place")
