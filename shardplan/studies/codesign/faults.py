"""What is wrong with the [codesign] of a study, beyond its types and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.errors import Fault, shorten
from shardplan.studies.axes import quoted
from shardplan.studies.codesign.space import DesignSpace, read_knob
from shardplan.studies.columns import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shardplan.records.study import Codesign, Knob, StudyFile

_SIDES = {"min": "minimise", "max": "maximise"}


def find_design_faults(file: StudyFile, where: str) -> list[Fault]:
    """Return what is wrong with knobs, objectives and the number of points."""
    codesign = file.codesign
    if codesign is None:
        return []
    found = [*_contrary(codesign, where), *_knobs(codesign, where)]
    if not found:
        found += _points(codesign, where)
    return found


def _contrary(codesign: Codesign, where: str) -> Iterator[Fault]:
    """Yield objectives that ask for the worse end of a column."""
    for sense, side in _SIDES.items():
        for i, name in enumerate(getattr(codesign, side)):
            better = COLUMNS[name].sense if name in COLUMNS else None
            if better not in (None, sense):
                rule = f"better is the other way: put it into {_SIDES[str(better)]}"
                yield Fault(where, f"codesign.{side}[{i}]", shorten(name), rule)


def _knobs(codesign: Codesign, where: str) -> Iterator[Fault]:
    """Yield knobs from which nothing can be drawn."""
    for key, knob in codesign.knobs.items():
        try:
            read_knob(key, knob)
        except ValueError as error:
            at = f"codesign.knobs.{quoted(key)}"
            yield Fault(where, at, _shown(knob), str(error))


def _points(codesign: Codesign, where: str) -> Iterator[Fault]:
    """Yield a number of points that leaves nothing to choose."""
    size = DesignSpace.of(codesign).size
    if size <= codesign.points:
        rule = f"knobs have {size:,.0f} combinations: run them all, as [axes]"
        yield Fault(where, "codesign.points", str(codesign.points), rule)


def _shown(knob: Knob) -> str:
    """Return a range or choices as short text."""
    if knob.choices:
        return shorten(list(knob.choices))
    return f"{shorten(knob.low)} to {shorten(knob.high)}"
