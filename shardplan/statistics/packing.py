"""Statistics as bytes and back: JSON and plain arrays, which run no code.

::

    shardplan part 1    the format, and a line break
    8 bytes             checksum of all that follows and size of the JSON
    JSON                the objects by the names of their classes and fields
    arrays              one after the other; numbers are little endian
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

import numpy as np

_MAGIC = b"shardplan part 1\n"
_HEAD = struct.Struct("<II")
_ROOMS = ("shardplan.statistics.", "shardplan.errors")
"""Of a file are made dataclasses of these modules, and nothing else."""


def pack(found: Any) -> bytes:
    """Return the bytes of statistics: dataclasses, containers and arrays."""
    arrays: list[bytes] = []
    text = json.dumps(_plain(found, arrays), separators=(",", ":")).encode()
    content = b"".join([text, *arrays])
    return _MAGIC + _HEAD.pack(zlib.crc32(content), len(text)) + content


def unpack(content: bytes) -> Any:
    """Return the statistics of bytes; None if they are not what was packed."""
    view = memoryview(content)
    start = len(_MAGIC) + _HEAD.size
    if len(view) < start or view[: len(_MAGIC)] != _MAGIC:
        return None
    checksum, size = _HEAD.unpack(view[len(_MAGIC) : start])
    if zlib.crc32(view[start:]) != checksum:
        return None
    text = bytes(view[start : start + size])
    return _made(json.loads(text), view[start + size :])


def _plain(value: Any, arrays: list[bytes]) -> Any:
    """Return JSON of a value; its arrays go to the end of `arrays`."""
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        is_stored = bool(little.any())
        if is_stored:
            arrays.append(little.tobytes())
        return {"array": [little.dtype.str, list(value.shape), is_stored]}
    if is_dataclass(value):
        kind = type(value)
        each = {f.name: getattr(value, f.name) for f in fields(value)}
        return {"class": [kind.__module__, kind.__name__], "of": _plain(each, arrays)}
    if isinstance(value, Counter):
        return {"counter": [[k, _plain(v, arrays)] for k, v in value.items()]}
    if isinstance(value, dict):
        return {"dict": [[k, _plain(v, arrays)] for k, v in value.items()]}
    if isinstance(value, set):
        return {"set": sorted(value)}
    if isinstance(value, (tuple, list)):
        return {type(value).__name__: [_plain(each, arrays) for each in value]}
    return value.item() if isinstance(value, np.generic) else value


def _made(plain: Any, rest: memoryview) -> Any:
    """Make the value of JSON; arrays come in the order in which they were written."""
    place = 0

    def made(node: Any) -> Any:
        nonlocal place
        if not isinstance(node, dict):
            return node
        if "class" in node:
            return _class(*node["class"])(**made(node["of"]))
        ((kind, value),) = node.items()
        if kind == "array":
            name, shape, is_stored = value
            if not is_stored:
                return np.zeros(shape, name)
            size = int(np.prod(shape))
            array = np.frombuffer(rest, name, size, place).reshape(shape)
            place += array.nbytes
            return array
        if kind in ("dict", "counter"):
            pairs = {key: made(each) for key, each in value}
            return Counter(pairs) if kind == "counter" else pairs
        return {"tuple": tuple, "list": list, "set": set}[kind](map(made, value))

    return made(plain)


def _class(module: str, name: str) -> type[Any]:
    """Return a dataclass by its name."""
    kind = getattr(import_module(module), name) if module.startswith(_ROOMS) else None
    if not isinstance(kind, type) or not is_dataclass(kind):
        raise ValueError(f"{module}.{name} is no statistics")
    return kind
