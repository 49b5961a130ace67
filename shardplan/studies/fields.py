"""The field that a key of a study means, for units."""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

from shardplan.io.location import is_record, members
from shardplan.io.settings import parse_path
from shardplan.records.inputs import Inputs
from shardplan.records.quantity import Quantity
from shardplan.records.study import ServerSettings, StudyBase
from shardplan.solvers.params import SolverParams

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODELS: dict[str, Any] = {
    **{name: field.annotation for name, field in Inputs.model_fields.items()},
    "solver": SolverParams,
    "parameter_servers": ServerSettings,
}
ROOTS = tuple(_MODELS)
"""What a path of a study may begin with."""


def quantity_of(key: str) -> Quantity | None:
    """Return the quantity that a field of the base, or the end of a path, is."""
    return next((q for place in _places(key) for q in _quantities(place)), None)


def has_field(key: str) -> bool:
    """Tell whether a key is a field of the base or a path to one of an input."""
    try:
        return bool(_places(key))
    except ValueError:
        return False


def read_number(key: str, value: object) -> int | float:
    """Return a number for a key, in base units.

    Raises
    ------
    ValueError
        For what is no number, nor text with a unit that the field has.
    """
    quantity = quantity_of(key)
    number = (quantity or Quantity()).read(value)
    if isinstance(number, (int, float)):
        return number
    raise ValueError("must be a number")


def _places(key: str) -> list[Any]:
    """Return the fields or types that a key may mean."""
    steps = parse_path(key)
    if len(steps) == 1:
        return [StudyBase.model_fields[key]] if key in StudyBase.model_fields else []
    model = _MODELS.get(str(steps[0]))
    return list(_fields(model, steps[1:])) if model else []


def _fields(annotation: Any, steps: tuple[int | str, ...]) -> Iterator[Any]:
    """Yield what a path may mean: of the types that a value can have, each."""
    for kind in members(annotation):
        if is_record(kind):
            field = kind.model_fields.get(str(steps[0]))
            if field is None:
                continue
            inner = field if len(steps) == 1 else field.annotation
        else:
            types = [t for t in typing.get_args(kind) if t is not Ellipsis]
            if not types:
                continue
            inner = types[-1]
        if len(steps) == 1:
            yield inner
        else:
            yield from _fields(inner, steps[1:])


def _quantities(place: Any) -> Iterator[Quantity]:
    """Yield the quantities in the metadata of a field, or of a type."""
    if place is None:
        return
    metadata = getattr(place, "metadata", ()) or getattr(place, "__metadata__", ())
    yield from (item for item in metadata if isinstance(item, Quantity))
    inner = getattr(place, "annotation", None)
    for part in typing.get_args(place if inner is None else inner):
        yield from _quantities(part)
