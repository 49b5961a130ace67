"""Objects that say in a line what they are, and in a notebook as a small table."""

from __future__ import annotations

from html import escape

from shardplan.printable import one_line


class Brief:
    """Shown by a few facts instead of by all that it holds."""

    def facts(self) -> dict[str, str]:
        """Return what identifies this, by name; every value says its unit."""
        raise NotImplementedError

    def __repr__(self) -> str:
        """Show the facts in one line; what a terminal would act on is escaped."""
        values = map(one_line, self.facts().values())
        return f"<{type(self).__name__} {', '.join(values)}>"

    def __str__(self) -> str:
        """Show the same as `repr`."""
        return repr(self)

    def _repr_html_(self) -> str:
        """Show the facts in a notebook; names are escaped."""
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(one_line(value))}</td></tr>"
            for name, value in self.facts().items()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"
