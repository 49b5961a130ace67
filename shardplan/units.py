"""Print quantities for people; decimal and binary bytes are never mixed up.

Inside the package every quantity is in its base unit: bytes, bytes per second,
seconds. GB is 10^9 bytes, GiB is 2^30 bytes.
"""

from __future__ import annotations

_DECIMAL = ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_GIB = 2.0**30


def format_bytes(num_bytes: float) -> str:
    """Format bytes [B] in decimal units, for example ``80.0 GB``."""
    for scale, unit in _DECIMAL:
        if abs(num_bytes) >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes:.0f} B"


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
