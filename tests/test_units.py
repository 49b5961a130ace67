"""Text with units: what it means, what is refused, and that printing reads back."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardplan.units import (
    Dimension,
    format_power,
    format_quantity,
    parse_quantity,
    unit_scale,
)

MEANINGS = [
    ("200 Gb/s", Dimension.BANDWIDTH, 25e9),
    ("200Gbps", Dimension.BANDWIDTH, 25e9),
    ("200 Gbit/s", Dimension.BANDWIDTH, 25e9),
    ("25 GB/s", Dimension.BANDWIDTH, 25e9),
    ("3.35 TB/s", Dimension.BANDWIDTH, 3.35e12),
    ("1 GiB/s", Dimension.BANDWIDTH, 2.0**30),
    ("80 GB", Dimension.BYTES, 80 * 10**9),
    ("80 GiB", Dimension.BYTES, 80 * 2**30),
    ("2 TiB", Dimension.BYTES, 2**41),
    ("0.1 GiB", Dimension.BYTES, 107_374_182),  # 107,374,182.4 bytes
    ("900 us", Dimension.SECONDS, 9e-4),
    ("0.6 µs", Dimension.SECONDS, 6e-7),
    ("10 min", Dimension.SECONDS, 600.0),
    ("0.25 ns/id", Dimension.SECONDS_PER_ID, 2.5e-10),
    ("989 TFLOP/s", Dimension.FLOPS, 989e12),
    ("989.4 TFLOPS", Dimension.FLOPS, 989.4e12),
    ("1.24 M IOPS", Dimension.IOPS, 1.24e6),
    ("1.5 M", Dimension.COUNT, 1_500_000),
    ("64 Ki", Dimension.COUNT, 65_536),
    ("80 %", Dimension.FRACTION, 0.8),
    ("1_000 kB", Dimension.BYTES, 10**6),
    ("1e3 MB", Dimension.BYTES, 10**9),
]


@pytest.mark.parametrize(("text", "dimension", "value"), MEANINGS)
def test_meaning(text: str, dimension: Dimension, value: float) -> None:
    """Bits are eighths of bytes, prefixes decimal or binary; no digit is lost."""
    found = parse_quantity(text, dimension)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "dimension", "rule"),
    [
        ("80", Dimension.BYTES, "a number, or text with a unit such as '80 GB'"),
        ("GB", Dimension.BYTES, "must be a number"),
        ("80,000 MB", Dimension.BYTES, "must be a number, or"),
        ("٨ GB", Dimension.BYTES, "must be a number"),
        ("8" * 60 + " GB", Dimension.BYTES, "must be a number"),
        (
            "80 Gb",
            Dimension.BYTES,
            "are bits, and memory is in bytes",
        ),
        ("80 gb", Dimension.BYTES, "unknown unit 'gb'; did you mean 'GB'?"),
        ("25 gb/s", Dimension.BANDWIDTH, "did you mean 'GB/s' or 'Gb/s'?"),
        ("25 GB", Dimension.BANDWIDTH, "'GB' is a unit of bytes, not bytes/s: write"),
        ("5 GB/s", Dimension.BYTES, "'GB/s' is a unit of bytes/s, not bytes"),
        ("5 m", Dimension.SECONDS, "unknown unit 'm'; did you mean 'ms'?"),
        ("5 parsecs", Dimension.FLOPS, "unknown unit 'parsecs': write '989 TFLOP/s'"),
        ("1.5 B", Dimension.COUNT, "'B' is a unit of bytes, not count"),
        ("12 GB", Dimension.NONE, "must be a number without a unit"),
        ("twelve", Dimension.NONE, "must be a number"),
    ],
)
def test_refused(text: str, dimension: Dimension, rule: str) -> None:
    """No unit, another dimension's unit and slips of case say what is needed."""
    with pytest.raises(ValueError, match=re.escape(rule)):
        parse_quantity(text, dimension)


@given(
    st.sampled_from([d for d in Dimension if d not in (Dimension.NONE,)]),
    st.integers(1, 999_999),
    st.integers(-9, 12),
)
def test_what_is_printed_reads_back(
    dimension: Dimension, digits: int, power: int
) -> None:
    """A quantity of six digits is the same after printing and reading."""
    value = float(f"{digits}e{power}")
    text = format_quantity(value, dimension)
    if dimension in (Dimension.COUNT, Dimension.FRACTION):
        assert float(text) == pytest.approx(value, rel=1e-12)
    elif dimension is not Dimension.BYTES or value >= 1:
        rounding = 0.5 if dimension is Dimension.BYTES else 0.0
        assert parse_quantity(text, dimension) == pytest.approx(
            value, rel=1e-9, abs=rounding
        )


@given(st.text(max_size=70), st.sampled_from(list(Dimension)))
def test_any_text_is_read_or_refused(text: str, dimension: Dimension) -> None:
    """Nothing but a number or a ValueError comes out."""
    try:
        found = parse_quantity(text, dimension)
    except ValueError:
        return
    assert isinstance(found, (int, float))


@pytest.mark.parametrize(
    ("value", "text"),
    [(25e9, "25e9"), (125e6, "125e6"), (6e-7, "600e-9"), (80, "80"), (0.0, "0")],
)
def test_numbers_as_files_have_them(value: float, text: str) -> None:
    """Exponents are multiples of three, and the text is the number."""
    assert format_power(value) == text
    assert float(text) == pytest.approx(value)


def test_scales() -> None:
    """A bit is an eighth of a byte."""
    assert unit_scale("Gb/s", Dimension.BANDWIDTH) == 0.125e9
