"""What an exporter of a plug-in must keep to, checked before and after it runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError

if TYPE_CHECKING:
    from shardplan.exporters import Exporter
    from shardplan.io.plugins import Plugin
    from shardplan.plans.plan import Plan


def checked(plugin: Plugin, found: Any) -> Exporter:
    """Return the exporter of a plug-in with what it returns checked.

    Raises
    ------
    PluginError
        If it cannot be called with a plan; from the exporter, if it raises anything but
        `InputError`, or returns what JSON cannot hold.
    """
    plugin.require_call(found, plugin.place, ("plan",))

    def export(plan: Plan) -> dict[str, Any]:
        with plugin.blamed("exporting", let=(InputError,)):
            data = found(plan)
        if not isinstance(data, dict):
            kind = "None" if data is None else f"a {type(data).__name__}"
            raise plugin.error(f"it returned {kind}, must return a dict")
        try:
            json.dumps(data, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            rule = f"it returned what JSON cannot hold: {error}"
            raise plugin.error(rule) from error
        return data

    return export
