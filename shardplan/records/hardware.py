"""Quantities of hardware, each with the range in which it is believed.

The ranges are wide: from toys and machines of twenty years ago to some ten times the
best that is announced. They are there to find numbers in the wrong unit, which are off
by factors of 10^3 to 10^12 (or, for bits, 8), not to judge a machine.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shardplan.records.quantity import Quantity
from shardplan.records.record import MAX_BYTES
from shardplan.units import Dimension

_CAPACITY = Field(ge=0, le=MAX_BYTES)
_RATE = Field(ge=0, le=1e16)
_ABOVE = Field(gt=0, le=1e16)
_SIZES = ("GB TB", "MB")
_SPEEDS = ("GB/s", "MB/s")

HbmBytes = Annotated[
    int,
    _CAPACITY,
    Quantity(
        Dimension.BYTES, 1e6, 1e13, "a device has 1 GB to 300 GB today", ("GB", "MB")
    ),
]
"""Memory of one device [bytes]."""
HbmBandwidth = Annotated[
    float,
    _RATE,
    Quantity(
        Dimension.BANDWIDTH,
        1e8,
        1e14,
        "a device's memory moves 0.1 to 10 TB/s today",
        ("TB/s", "GB/s", "MB/s"),
    ),
]
"""Bandwidth of one device's memory [bytes/s]."""
CacheBytes = Annotated[
    int,
    _CAPACITY,
    Quantity(
        Dimension.BYTES,
        1e4,
        1e11,
        "a last-level cache has 1 MB to 1 GB today",
        ("MB", "kB", "GB"),
    ),
]
"""Last-level cache of one device [bytes]."""
CacheBandwidth = Annotated[
    float,
    _RATE,
    Quantity(
        Dimension.BANDWIDTH,
        1e9,
        1e15,
        "a last-level cache moves 1 to 20 TB/s today",
        ("TB/s", "GB/s"),
    ),
]
"""Bandwidth of one device's last-level cache [bytes/s]."""
DdrBytes = Annotated[
    int,
    _CAPACITY,
    Quantity(Dimension.BYTES, 1e6, 1e15, "a host has 10 GB to 10 TB today", _SIZES),
]
"""Memory of one host [bytes]."""
DdrBandwidth = Annotated[
    float,
    _ABOVE,
    Quantity(
        Dimension.BANDWIDTH,
        1e9,
        1e14,
        "a host's memory moves 10 GB/s to 1 TB/s today",
        _SPEEDS,
    ),
]
"""Bandwidth of one host's memory [bytes/s]."""
SsdBytes = Annotated[
    int,
    _CAPACITY,
    Quantity(
        Dimension.BYTES,
        1e9,
        1e16,
        "a host has 0.1 to 1,000 TB today",
        ("TB", "GB", "MB"),
    ),
]
"""SSDs of one host [bytes]."""
SsdBandwidth = Annotated[
    float,
    _RATE,
    Quantity(
        Dimension.BANDWIDTH, 1e6, 1e13, "an SSD moves 0.1 to 15 GB/s today", _SPEEDS
    ),
]
"""Reads or writes of one host's SSDs [bytes/s]."""
Iops = Annotated[
    float,
    Field(ge=0, le=1e18),
    Quantity(
        Dimension.IOPS,
        5e3,
        1e11,
        "an SSD answers 10^4 to 10^7 reads per second today",
        ("kIOPS", "MIOPS"),
    ),
]
"""Random reads of one host's SSDs per second."""
PcieBandwidth = Annotated[
    float,
    _ABOVE,
    Quantity(
        Dimension.BANDWIDTH,
        1e7,
        1e13,
        "a lane of PCIe 1.0 moves 250 MB/s, NVLink-C2C 450 GB/s one way",
        _SPEEDS,
    ),
]
"""One link between host and devices, one direction [bytes/s]."""
ScaleUpBandwidth = Annotated[
    float,
    _RATE,
    Quantity(
        Dimension.BANDWIDTH,
        1e7,
        1e14,
        "a device's links move 10 GB/s to 2 TB/s one way today",
        _SPEEDS,
    ),
]
"""Scale-up links of one rank together, one direction [bytes/s]."""
NicBandwidth = Annotated[
    float,
    _RATE,
    Quantity(
        Dimension.BANDWIDTH,
        1e7,
        1e12,
        "a NIC has 1 Gb/s = 125e6 to 1.6 Tb/s = 200e9 today",
        ("Gb/s GB/s", "Mb/s MB/s"),
    ),
]
"""One NIC, one direction [bytes/s]."""
Latency = Annotated[
    float,
    Field(ge=0, le=3600),
    Quantity(
        Dimension.SECONDS,
        1e-9,
        0.1,
        "light passes 0.3 m in 1 ns, and a fabric answers within 100 ms",
        ("us ns",),
    ),
]
"""Of one message [s]."""
PeakRate = Annotated[
    float,
    Field(ge=0, le=1e18),
    Quantity(
        Dimension.FLOPS,
        1e9,
        1e17,
        "a device does 1 TFLOP/s to 10 PFLOP/s today",
        ("TFLOP/s", "GFLOP/s", "PFLOP/s"),
    ),
]
"""Dense arithmetic of one device [FLOP/s]."""
