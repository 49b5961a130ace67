"""The text that nccl-tests and rccl-tests print, one or several runs in a log."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from shardplan.calibration.nccl_json import require_one_group
from shardplan.calibration.runs import NcclRun, TimedSize, nccl_version_text, point_of
from shardplan.errors import InputError

_PREFIX = re.compile(r"^\s*(?:\[\d+,\d+\]<std(?:out|err)>:|\d+:(?=\s))")
"""What mpirun (--tag-output) and srun (--label) put before lines."""
_RANK = re.compile(
    r"#\s+Rank\s+(\d{1,9})\s+(?:Group\s+(\d{1,9})\s+)?Pid\s+\d+\s+on\s+(\S+)"
)
_PROGRAM = re.compile(r"\b(\w+)_perf\b")
_VERSION = re.compile(r"\b[NR]CCL version\s*:?\s*(\d+\.\d+\.\d+)")
_LIBRARY = re.compile(r"\bnccl-library=(\d{1,9})\b")
_STAMP = re.compile(r"\s\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\s*$")


@dataclass
class _Draft:
    """A run as far as it was read."""

    program: str = ""
    version: str = ""
    ranks: list[int] = field(default_factory=list)
    groups: set[int] = field(default_factory=set)
    hosts: list[str] = field(default_factory=list)
    heading: list[str] = field(default_factory=list)
    points: list[TimedSize] = field(default_factory=list)

    def run(self, where: str) -> NcclRun:
        """Return what was read."""
        require_one_group(self.ranks, self.groups, where)
        ordered = sorted(zip(self.ranks, self.hosts, strict=True))
        hosts = tuple(host for _, host in ordered)
        return NcclRun(self.program, hosts, tuple(self.points), self.version)


def text_runs(text: str, where: str) -> list[NcclRun]:
    """Return the runs of a log; lines of others are passed over.

    Notes
    -----
    ``#`` begins a comment: the ranks with their hosts, and the heading of the table
    ``size count type redop root | time(us) algbw busbw #wrong | ...``, of which the
    first block is out of place.

    Raises
    ------
    InputError
        If there is no table, or a line of it is damaged.

    References
    ----------
    NVIDIA/nccl-tests, src/util.cu.
    """
    drafts = [_Draft()]
    for number, raw in enumerate(text.splitlines(), 1):
        line = _PREFIX.sub("", raw)
        if drafts[-1].points and _begins(line):
            drafts.append(_Draft(version=drafts[-1].version))
        draft = drafts[-1]
        if line.lstrip().startswith("#"):
            _comment(draft, line, where)
        elif draft.heading and _is_row(line):
            draft.points.append(_row(draft.heading, line, where, f"line {number}"))
        else:
            _name(draft, line)
    found = [draft.run(where) for draft in drafts if draft.points]
    if not found:
        rule = "has no results of nccl-tests: no heading '# size count ...' with rows"
        raise InputError.single(where, "", None, rule)
    return found


def _begins(line: str) -> bool:
    """Whether a line is of another run than those before it."""
    starts = ("# nccl-tests version", "# Collective test starting", "# nThread")
    return line.lstrip().startswith(starts)


def _is_row(line: str) -> bool:
    words = line.split()
    return len(words) > 1 and words[0].isdecimal() and words[1].isdecimal()


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d*)?(e[+-]?\d+)?", word) is not None


def _name(draft: _Draft, line: str) -> None:
    """Find the program, or the version of NCCL, in a line of a log."""
    program, version = _PROGRAM.search(line), _VERSION.search(line)
    if program and not draft.program:
        draft.program = program[1]
    if version:
        draft.version = version[1]


def _comment(draft: _Draft, line: str, where: str) -> None:
    words = line.lstrip(" #").split()
    rank, library = _RANK.search(line), _LIBRARY.search(line)
    if rank:
        draft.ranks.append(int(rank[1]))
        draft.groups.add(int(rank[2] or 0))
        draft.hosts.append(rank[3])
    elif words[:2] == ["size", "count"]:
        draft.heading = [word.lower() for word in words if word != "timestamp"]
        if "cputime" in draft.heading:
            rule = "has times of the CPU (-C 1): measure without it"
            raise InputError.single(where, "", None, rule)
    elif library and not draft.version:
        draft.version = nccl_version_text(int(library[1]))
    elif "Collective test starting:" in line:
        draft.program = ""
    if "concluded" not in line:
        _name(draft, line)


def _row(heading: list[str], line: str, where: str, at: str) -> TimedSize:
    """Read a row; empty cells before the times shift it, so it is read from the end."""
    words = _STAMP.sub("", line).split()
    missing = len(heading) - len(words)
    first = heading.index("time") if "time" in heading else len(heading)
    is_shifted = len(words) > 3 and _is_number(words[3])
    if not 0 <= missing <= 2 * is_shifted or first == len(heading):
        rule = f"has {len(words)} columns where the heading has {len(heading)}"
        raise InputError.single(where, at, None, f"{rule}: cut off, or damaged")
    block = words[first - missing : first - missing + 4]
    try:
        time, alg_bw, bus_bw = map(float, block[:3])
        wrong = 0.0 if block[3] == "N/A" else float(block[3])
    except ValueError:
        rule = f"must have numbers for time, algbw and busbw, not {' '.join(block)}"
        raise InputError.single(where, at, None, rule) from None
    return point_of(at, float(words[0]), time, alg_bw, bus_bw, wrong)
