"""Quantities as text: read them with their units, and print them for people.

Inside the package every quantity is in its base unit: bytes, bytes per second,
seconds. GB is 10^9 bytes, GiB is 2^30 bytes, Gb is 10^9 bits; they are never mixed up.
"""

from __future__ import annotations

import difflib
import math
import re
from decimal import Decimal
from enum import StrEnum


class Dimension(StrEnum):
    """What a number measures; the value is the base unit."""

    BYTES = "bytes"
    BANDWIDTH = "bytes/s"
    SECONDS = "s"
    SECONDS_PER_ID = "s/id"
    FLOPS = "FLOP/s"
    IOPS = "reads/s"
    COUNT = "count"
    FRACTION = "fraction"
    NONE = "number"


_DECIMAL_PREFIXES = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_PREFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_PREFIXES = {
    **{prefix: Decimal(10) ** power for prefix, power in _DECIMAL_PREFIXES.items()},
    **{prefix: Decimal(2**power) for prefix, power in _BINARY_PREFIXES.items()},
}
_TIMES = {
    **dict.fromkeys(("us", "µs", "μs"), Decimal("1e-6")),
    "ns": Decimal("1e-9"),
    "ms": Decimal("1e-3"),
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
}


def _prefixed(*bases: str, scale: Decimal = Decimal(1)) -> dict[str, Decimal]:
    """Return the scale of every prefix with every base."""
    return {p + b: factor * scale for b in bases for p, factor in _PREFIXES.items()}


_BIT = Decimal("0.125")
_UNITS: dict[Dimension, dict[str, Decimal]] = {
    Dimension.BYTES: _prefixed("B") | dict.fromkeys(("byte", "bytes"), Decimal(1)),
    Dimension.BANDWIDTH: _prefixed("B/s", "Bps")
    | _prefixed("b/s", "bit/s", "bps", scale=_BIT)
    | {"bytes/s": Decimal(1)},
    Dimension.SECONDS: _TIMES,
    Dimension.SECONDS_PER_ID: {f"{unit}/id": scale for unit, scale in _TIMES.items()},
    Dimension.FLOPS: _prefixed("FLOP/s", "FLOPS", "FLOPs"),
    Dimension.IOPS: _prefixed("IOPS", "/s", "reads/s"),
    Dimension.COUNT: {unit: scale for unit, scale in _PREFIXES.items() if unit},
    Dimension.FRACTION: {"%": Decimal("0.01")},
    Dimension.NONE: {},
}
_BITS = set(_prefixed("b", "bit"))
_EXAMPLES = {
    Dimension.BYTES: "80 GB",
    Dimension.BANDWIDTH: "25 GB/s",
    Dimension.SECONDS: "900 us",
    Dimension.SECONDS_PER_ID: "0.25 ns/id",
    Dimension.FLOPS: "989 TFLOP/s",
    Dimension.IOPS: "1.5 MIOPS",
    Dimension.COUNT: "1.5 M",
    Dimension.FRACTION: "80 %",
}
_TEXT = re.compile(
    r"\s*([+-]?[0-9](?:[0-9_]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?)\s*([^\s0-9.,].*)"
)
_LONGEST = 60


def parse_quantity(text: str, dimension: Dimension) -> int | float:
    """Read a number with its unit, such as ``"200 Gb/s"``, in base units.

    Parameters
    ----------
    text : str
        A decimal number and a unit of the dimension. Prefixes k, M, G, T, P and E are
        decimal, Ki, Mi, ... binary; ``B`` is bytes, ``b`` or ``bit`` bits.
    dimension : Dimension
        What the number measures.

    Returns
    -------
    int or float
        Bytes and whole counts are integers.

    Raises
    ------
    ValueError
        If it is no number with a unit, or the unit measures something else.
    """
    match = _TEXT.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError(f"must be a number{_example(dimension)}")
    unit = "".join(match[2].split())
    scale = _UNITS[dimension].get(unit)
    if scale is None:
        raise ValueError(_wrong_unit(match[1], unit, dimension))
    value = Decimal(match[1].replace("_", "")) * scale
    if dimension is Dimension.BYTES:
        return round(value)
    is_whole = dimension is Dimension.COUNT and value == value.to_integral_value()
    return int(value) if is_whole else float(value)


def unit_scale(unit: str, dimension: Dimension) -> float:
    """Return how many base units one `unit` is."""
    return float(_UNITS[dimension][unit])


def _example(dimension: Dimension) -> str:
    known = _EXAMPLES.get(dimension)
    return f", or text with a unit such as {known!r}" if known else ""


def _wrong_unit(number: str, unit: str, dimension: Dimension) -> str:
    """Say what is wrong with a unit, and which ones are near."""
    known = _UNITS[dimension]
    if not known:
        return "must be a number without a unit"
    example = f": write {_EXAMPLES[dimension]!r} or the like"
    if dimension is Dimension.BYTES and unit in _BITS:
        meant = f"{number} {unit.replace('bit', 'B').replace('b', 'B')}"
        return f"{unit!r} are bits, and memory is in bytes: did you mean {meant!r}?"
    for other, units in _UNITS.items():
        if unit in units:
            return (
                f"{unit!r} is a unit of {other.value}, not {dimension.value}{example}"
            )
    near = [name for name in known if name.casefold() == unit.casefold()]
    near = near or difflib.get_close_matches(unit[:20], known, n=1)
    if near:
        meant = " or ".join(repr(name) for name in near[:3])
        return f"unknown unit {unit[:20]!r}; did you mean {meant}?"
    return f"unknown unit {unit[:20]!r}{example}"


def format_bytes(num_bytes: float) -> str:
    """Format bytes [B] in decimal units, for example ``80.0 GB``."""
    for scale, unit in _DECIMAL:
        if abs(num_bytes) >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes:.0f} B"


_DECIMAL = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_GIB = 2.0**30


def format_bytes_both(num_bytes: float) -> str:
    """Format bytes [B] in decimal and binary units: ``80.0 GB (74.5 GiB)``."""
    return f"{format_bytes(num_bytes)} ({num_bytes / _GIB:,.1f} GiB)"


def format_bandwidth(bandwidth: float) -> str:
    """Format a bandwidth [bytes/s] in decimal units, for example ``3.4 TB/s``."""
    return f"{format_bytes(bandwidth)}/s"


def format_seconds(seconds: float) -> str:
    """Format a time [s] with three or more digits: ``1.234 ms``."""
    magnitude = abs(seconds)
    if magnitude >= 1.0:
        return f"{seconds:.3f} s"
    if magnitude >= 1e-3:
        return f"{seconds * 1e3:.3f} ms"
    return f"{seconds * 1e6:.1f} us"


def format_power(value: float) -> str:
    """Write a number as files have it, for example ``25e9`` or ``600e-9``."""
    exponent = 3 * math.floor(math.log10(abs(value)) / 3 + 1e-12) if value else 0
    if exponent in (-3, 0, 3):
        return f"{value:.6g}"
    return f"{value / 10.0**exponent:.6g}e{exponent}"


_SHOWN = {
    Dimension.BYTES: "B",
    Dimension.BANDWIDTH: "B/s",
    Dimension.FLOPS: "FLOP/s",
    Dimension.IOPS: "IOPS",
}


def format_quantity(value: float, dimension: Dimension) -> str:
    """Write a quantity in the unit that suits it, as `parse_quantity` reads it."""
    if dimension in (Dimension.SECONDS, Dimension.SECONDS_PER_ID):
        per = dimension.value.removeprefix("s")
        units = [f"{unit}{per}" for unit in ("s", "ms", "us", "ns")]
    elif dimension in _SHOWN:
        units = [f"{prefix}{_SHOWN[dimension]}" for prefix in ("P", "T", "G", "M", "k")]
        units.append(_SHOWN[dimension])
    else:
        return format_power(value)
    for unit in units:
        scaled = float(Decimal(repr(float(value))) / _UNITS[dimension][unit])
        if scaled >= 1:
            break
    return f"{scaled:.6g} {unit}"


def plural(number_of: int, noun: str) -> str:
    """Format a count with its noun: ``1 host``, ``1,024 hosts``."""
    return f"{number_of:,} {noun}" + ("" if number_of == 1 else "s")
