"""The libraries of a co-design, which a plain installation lacks."""

from __future__ import annotations

from shardplan.errors import InputError


def require_extra(what: str) -> None:
    """Raise `InputError` if the libraries of the extra are not installed."""
    try:
        import moocore  # noqa: F401
        import optuna  # noqa: F401
    except ImportError as error:
        rule = f"needs {error.name}: pip install 'shardplan[codesign]'"
        raise InputError.single(what, "", None, rule) from None
