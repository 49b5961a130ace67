"""Tensors in a file of torch.save, read without running what a pickle says.

References
----------
PyTorch, torch/serialization.py, ``_save``: a zip file of ``data.pkl``, in which each
tensor is a call of ``torch._utils._rebuild_tensor_v2`` for a storage that is named by
a persistent id, and of ``data/KEY`` with the bytes of each storage.
"""

from __future__ import annotations

import pickletools
import zipfile
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shardplan.statistics.formats.arrays import StoredNumbers
from shardplan.statistics.formats.zip_members import opened_zip, stored_at

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_PICKLE_BYTES = 1 << 20
"""Bytes of the pickle of a few tensors; others are refused."""
_DTYPES = {
    "torch LongStorage": "i8",
    "torch IntStorage": "i4",
    "torch ShortStorage": "i2",
    "torch CharStorage": "i1",
    "torch ByteStorage": "u1",
}
_REBUILD = "torch._utils _rebuild_tensor_v2"
_HOOKS = "collections OrderedDict"


class Tensor(NamedTuple):
    """A contiguous tensor of whole numbers.

    Attributes
    ----------
    numbers : StoredNumbers
        Row by row.
    """

    shape: tuple[int, ...]
    numbers: StoredNumbers


class _Storage(NamedTuple):
    dtype: str
    key: str


class _Global(NamedTuple):
    name: str


class _View(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]


def read_tensors(file: IO[bytes]) -> list[Tensor]:
    """Find the tensors of a tuple or list in a file.

    Raises
    ------
    OSError
        If the file is damaged, or has something else than tensors of whole numbers.
    """
    with opened_zip(file) as archive:
        members = {info.filename.partition("/")[2]: info for info in archive.infolist()}
        pickle = members.get("data.pkl")
        if pickle is None or pickle.file_size > MOST_PICKLE_BYTES:
            raise OSError("is no file of torch.save with a few tensors")
        views = _views(archive.read(pickle))
        order = members.get("byteorder")
        is_big = order is not None and archive.read(order) == b"big"
        return [_tensor(file, members, view, ">" if is_big else "<") for view in views]


def _tensor(
    file: IO[bytes], members: dict[str, zipfile.ZipInfo], view: _View, order: str
) -> Tensor:
    dtype = np.dtype(order + view.storage.dtype)
    data = members.get(f"data/{view.storage.key}")
    if data is None or data.compress_type != zipfile.ZIP_STORED:
        raise OSError("lacks the numbers of a tensor, or has them compressed")
    size = int(np.prod(view.shape, dtype=object)) * dtype.itemsize
    first = view.offset * dtype.itemsize
    if first + size > data.file_size:
        raise OSError("has a tensor of more numbers than there are")
    return Tensor(view.shape, StoredNumbers(file, stored_at(file, data) + first, dtype))


def _views(pickle: bytes) -> list[_View]:
    """Return the tensors of a pickle."""
    try:
        found = _Reader().result(pickle)
        if not isinstance(found, tuple | list) or not found:
            raise ValueError("no tuple")
        if not all(isinstance(view, _View) for view in found):
            raise ValueError("no tensors")
    except (ValueError, IndexError, TypeError, KeyError) as error:
        rule = f"is refused, for it has something else than tensors: {error}"
        raise OSError(rule) from error
    return list(found)


_MARK = object()


class _Reader:
    """A machine for the few instructions that a pickle of tensors has.

    It calls nothing and imports nothing: what a pickle names is compared with names.
    """

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def result(self, pickle: bytes) -> Any:
        """Return what a pickle says; ValueError for other instructions."""
        for opcode, value, _ in pickletools.genops(pickle):
            if opcode.name in _IGNORED:
                continue
            if opcode.name == "STOP":
                break
            if opcode.name in _CONSTANTS:
                self._stack.append(_CONSTANTS[opcode.name])
            elif opcode.name in _VALUES:
                self._stack.append(value)
            elif opcode.name in _STEPS:
                _STEPS[opcode.name](self, value)
            else:
                raise ValueError(f"instruction {opcode.name}")
        return self._stack[-1]

    def put(self, place: int | None) -> None:
        """Remember what is on top."""
        self._memo[len(self._memo) if place is None else place] = self._stack[-1]

    def get(self, place: int) -> None:
        """Put what is remembered on top."""
        self._stack.append(self._memo[place])

    def since_mark(self, _: object) -> None:
        """Make a tuple of all above the last mark."""
        place = max(k for k, item in enumerate(self._stack) if item is _MARK)
        self._stack[place:] = [tuple(self._stack[place + 1 :])]

    def pack(self, size: int) -> None:
        """Make a tuple of so many."""
        if len(self._stack) < size:
            raise ValueError("too short a stack")
        self._stack[-size:] = [tuple(self._stack[-size:])]

    def take_name(self, name: str) -> None:
        """Put a name on top that tensors need."""
        if name not in (_REBUILD, _HOOKS, *_DTYPES):
            raise ValueError(f"the name {name.replace(' ', '.')}")
        self._stack.append(_Global(name))

    def take_names(self, _: object) -> None:
        """Take a name, and that of its module."""
        name, module = self._stack.pop(), self._stack.pop()
        self.take_name(f"{module} {name}")

    def take_storage(self, _: object) -> None:
        """Take ("storage", type, key, device, numbers)."""
        kind, dtype, key, _, _ = self._stack.pop()
        if kind != "storage" or not isinstance(dtype, _Global):
            raise ValueError("a persistent id that is no storage")
        self._stack.append(_Storage(_DTYPES[dtype.name], str(key)))

    def make(self, _: object) -> None:
        """Take the arguments of a name: of a tensor, or none of a dict of hooks."""
        arguments, function = self._stack.pop(), self._stack.pop()
        if function == _Global(_HOOKS) and arguments == ():
            self._stack.append(None)
            return
        storage, offset, shape, strides, *_ = arguments
        if function != _Global(_REBUILD) or not isinstance(storage, _Storage):
            raise ValueError("a call that makes no tensor")
        if not all(type(k) is int and k >= 0 for k in (offset, *shape, *strides)):
            raise ValueError("a tensor of no shape")
        if strides != _contiguous(shape) and 0 not in shape:
            raise ValueError("a tensor that is not contiguous")
        self._stack.append(_View(storage, offset, shape))


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = [1]
    for size in reversed(shape[1:]):
        strides.append(strides[-1] * size)
    return tuple(reversed(strides))[: len(shape)] if shape else ()


_IGNORED = {"PROTO", "FRAME"}
_CONSTANTS: dict[str, Any] = {
    "MARK": _MARK,
    "EMPTY_TUPLE": (),
    "NONE": None,
    "NEWTRUE": True,
    "NEWFALSE": False,
}
_VALUES = {
    *("BINUNICODE", "SHORT_BINUNICODE"),
    *("BININT", "BININT1", "BININT2", "LONG1"),
}
_STEPS: dict[str, Callable[[_Reader, Any], None]] = {
    "BINPUT": _Reader.put,
    "LONG_BINPUT": _Reader.put,
    "MEMOIZE": _Reader.put,
    "BINGET": _Reader.get,
    "LONG_BINGET": _Reader.get,
    "TUPLE": _Reader.since_mark,
    "TUPLE1": lambda self, _: self.pack(1),
    "TUPLE2": lambda self, _: self.pack(2),
    "TUPLE3": lambda self, _: self.pack(3),
    "GLOBAL": _Reader.take_name,
    "STACK_GLOBAL": _Reader.take_names,
    "BINPERSID": _Reader.take_storage,
    "REDUCE": _Reader.make,
}
