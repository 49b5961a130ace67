"""Numbers and switches of the built-in solvers, with the reason for each.

A file of parameters is TOML with a section per record; what it leaves out keeps its
default, so that an empty file changes nothing.
"""

from __future__ import annotations

from shardplan.certify.params import ProofParams
from shardplan.records.record import Flag, Record
from shardplan.solvers.search.params import SearchParams


class AutoParams(Record):
    """Which parts `auto` runs.

    Attributes
    ----------
    greedy : bool
        Begin with solver `greedy`; without, it only comes in where the search finds no
        plan.
    ldm : bool
        Begin with solver `ldm`, where that is quick.
    uniform : bool
        Begin with one sharding type for all tables, each in turn, where that is quick.
    exact_first : bool
        Begin small problems with a short try of the integer program.
    pack : bool
        Pack few tables anew, for `max-rank`.
    search : bool
        Anneal; see `SearchParams`.
    max_rank_first : bool
        For `step`, anneal for `max-rank` first: a balanced sum over phases may be
        better than what a short search of the phases finds.
    neighbourhoods : bool
        After the search, solve parts of small problems exactly.
    exact : bool
        After the search, try the integer program of small problems for longer.
    strengthen : bool
        Spend the rest of the time on the lower bound.
    """

    greedy: Flag = True
    ldm: Flag = True
    uniform: Flag = True
    exact_first: Flag = True
    pack: Flag = True
    search: Flag = True
    max_rank_first: Flag = True
    neighbourhoods: Flag = True
    exact: Flag = True
    strengthen: Flag = True


class ChoiceParams(Record):
    """Choosing options so that the sums fit, before anything is placed.

    Attributes
    ----------
    linear_program : bool
        Where prices alone end far from the relaxed choice, solve a linear program.
    """

    linear_program: Flag = True


class SolverParams(Record):
    """A whole file of parameters.

    Attributes
    ----------
    auto : AutoParams
        Solver `auto`.
    choice : ChoiceParams
        The choice of options in `greedy`, `ldm` and the search.
    search : SearchParams
        The search of `auto`.
    proof : ProofParams
        Lower bounds, whatever the solver.
    """

    auto: AutoParams = AutoParams()
    choice: ChoiceParams = ChoiceParams()
    search: SearchParams = SearchParams()
    proof: ProofParams = ProofParams()


DEFAULTS = SolverParams()
