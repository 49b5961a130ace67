"""What is wrong with a plan."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule.

    Attributes
    ----------
    rule : str
        Short name, for example ``coverage`` or ``capacity``.
    table : str
        The table concerned; empty if it is the plan as a whole.
    message : str
        What is wrong and by how much.
    """

    rule: str
    table: str
    message: str

    def __str__(self) -> str:
        """Render as ``rule: table: message``."""
        at = f"{self.rule}: {self.table}" if self.table else self.rule
        return f"{at}: {self.message}"
