"""The same log in all formats; tensors by a pickle that is made by hand."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shardplan.records.log_mapping import LogMapping

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shardplan.records.arrays import Ints

ROWS = 100
WIDTHS = {"a": 1, "b": 3}
"""Ids of each feature in a sample."""


def ids(size: int) -> dict[str, Ints]:
    """Draw ids, int arrays of shape (S, W) by feature."""
    rng = np.random.default_rng(5)
    return {n: rng.integers(0, ROWS, (size, w)) for n, w in WIDTHS.items()}


def npy(array: np.ndarray, version: tuple[int, int] = (1, 0)) -> bytes:
    """Return the bytes of an array's file."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return the bytes of a zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def pickled(tensors: Sequence[np.ndarray], kind: str = "LongStorage") -> bytes:
    """Return what torch.save writes for a tuple of tensors, protocol 2."""
    out = [b"\x80\x02("]
    for key, each in enumerate(tensors):
        strides = tuple(s // each.itemsize for s in each.strides)
        text = str(key).encode()
        out += [
            b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storage",
            b"ctorch\n" + kind.encode() + b"\nX" + len(text).to_bytes(4, "little"),
            text + b"X\x03\x00\x00\x00cpuJ" + each.size.to_bytes(4, "little"),
            b"tQK\x00" + _ints(each.shape) + _ints(strides),
            b"\x89ccollections\nOrderedDict\n)RtR",
        ]
    return b"".join([*out, b"t."])


def _ints(values: Sequence[int]) -> bytes:
    return b"(" + b"".join(b"J" + v.to_bytes(4, "little") for v in values) + b"t"


def saved(tensors: Sequence[np.ndarray], **changes: bytes) -> bytes:
    """Return the file of torch.save for a tuple of tensors of int64."""
    data = {f"log/data/{k}": t.tobytes() for k, t in enumerate(tensors)}
    members = {"log/data.pkl": pickled(tensors), "log/byteorder": b"little", **data}
    return zipped({**members, **{f"log/{k}": v for k, v in changes.items()}})


def batch(log: dict[str, Ints]) -> list[np.ndarray]:
    """Return indices, offsets and lengths, table by table."""
    lengths = np.array([np.full(len(v), v.shape[1]) for v in log.values()])
    indices = np.concatenate([v.ravel() for v in log.values()])
    return [indices, np.append(0, np.cumsum(lengths)), lengths]


def contents(log: dict[str, Ints]) -> dict[str, bytes]:
    """Return files of a log by suffix; `.npy` has only features of one id."""
    flat = np.hstack([v for v in log.values() if v.shape[1] == 1]).astype(np.int32)
    arrays = {f"{n}.npy": npy(v.astype(np.int32)) for n, v in log.items()}
    texts = {n: [" ".join(map(str, row)) for row in v] for n, v in log.items()}
    rows = list(zip(*texts.values(), strict=True))
    csv = "".join(f"{','.join(cells)}\n" for cells in [tuple(log), *rows]).encode()
    ffm = "".join(
        " ".join(["1", *(f"{k}:{i}:1" for k, c in enumerate(row) for i in c.split())])
        + "\n"
        for row in rows
    ).encode()
    lists = {n: list(v) if v.shape[1] > 1 else v[:, 0] for n, v in log.items()}
    parquet = io.BytesIO()
    pq.write_table(pa.table(lists), parquet, row_group_size=50)
    tensors = saved(batch(log))
    return {
        ".parquet": parquet.getvalue(),
        ".csv": csv,
        ".tsv": csv.replace(b",", b"\t"),
        ".csv.gz": gzip.compress(csv, mtime=0),
        ".npy": npy(flat),
        ".npz": zipped(arrays),
        ".packed.npz": zipped(arrays, zipfile.ZIP_DEFLATED),
        ".pt": tensors,
        ".pt.gz": gzip.compress(tensors, mtime=0),
        ".ffm": ffm,
    }


def mapping(suffix: str, **changes: Any) -> LogMapping:
    """Return the mapping of a log's file."""
    names = ["a"] if suffix == ".npy" else list(WIDTHS)
    is_text = "csv" in suffix or "tsv" in suffix
    column = {n: str(k) if suffix == ".ffm" else n for k, n in enumerate(names)}
    features = [
        {
            "column": column[name],
            "table": name,
            "separator": " " if is_text and WIDTHS[name] > 1 else "",
        }
        for name in names
    ]
    return LogMapping.model_validate(
        {
            "schema_version": 1,
            "name": "log",
            "columns": names if suffix.startswith((".npy", ".pt")) else (),
            "tables": [{"name": n, "num_embeddings": ROWS} for n in names],
            "features": features,
            **changes,
        }
    )


class Evil:
    """What a pickle would call."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        """Name a function."""
        return print, ("called",)


def evil(path: Path) -> None:
    """Write a file whose pickle calls something."""
    path.write_bytes(zipped({"log/data.pkl": pickle.dumps(Evil(), 2)}))
