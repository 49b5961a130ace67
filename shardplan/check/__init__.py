"""Prove a plan with code that is independent of options and solvers."""

from shardplan.check.checker import check as check
from shardplan.check.violation import Violation as Violation

__all__ = ["Violation", "check"]
