"""Prove a plan with code that is independent of options and solvers."""

from shardplan.checking.checker import check as check
from shardplan.checking.checker import examine as examine
from shardplan.checking.verdict import Verdict as Verdict
from shardplan.checking.violation import Violation as Violation

__all__ = ["Verdict", "Violation", "check", "examine"]
