"""The longest path through a step: closed forms of small graphs."""

from __future__ import annotations

import numpy as np
import pytest

from shardplan.steps.operation import Operation, Stage, Stream
from shardplan.steps.path import StepGraph


def operation(name, stream=Stream.COMPUTE, *, seconds=1.0, **others):
    takes = np.atleast_1d(np.array(seconds))
    return Operation(name, Stage.FWD_COMPUTE, stream, takes, **others)


def fork():
    """Overhead, then computing and an exchange beside each other, then the rest."""
    return [
        operation("overhead"),
        operation("exchange", Stream.COMMUNICATION, after=("overhead",)),
        operation("compute", after=("overhead",)),
        operation("rest", after=("exchange", "compute")),
    ]


def test_the_longer_of_two_branches_counts():
    """Each column is a plan: the exchange is hidden, as long, or exposed."""
    seconds = np.array([[1.0] * 3, [2.0, 5.0, 7.0], [5.0] * 3, [3.0] * 3])
    graph = StepGraph.of(fork())
    np.testing.assert_allclose(graph.step(seconds), [9.0, 9.0, 11.0])
    np.testing.assert_allclose(graph.circuit(seconds[:, 0]), [1, 0, 1, 1])
    np.testing.assert_allclose(graph.circuit(seconds[:, 2]), [1, 1, 0, 1])


def test_a_stream_that_is_always_busy_sets_the_pace():
    """A copy for the next batch but one takes longer than all else of a step."""
    program = [
        operation("overhead"),
        operation("copy", Stream.COPY, behind=("overhead",), lead=2),
        operation("compute", after=("copy",), behind=("overhead",)),
    ]
    graph = StepGraph.of(program)
    for copy, step, counts in ((2.0, 5.0, [1, 0, 1]), (9.0, 9.0, [0, 1, 0])):
        seconds = np.array([1.0, copy, 4.0])
        assert graph.step(seconds) == pytest.approx(step)
        np.testing.assert_allclose(graph.circuit(seconds), counts)


def test_what_takes_no_time_does_not_hold_up_its_stream():
    """An idle exchange lets the next one of its stream begin at once."""

    def program(first):
        return [
            operation("overhead"),
            operation("compute", after=("overhead",)),
            operation("first", Stream.COMMUNICATION, after=("compute",), seconds=first),
            operation("second", Stream.COMMUNICATION, after=("overhead",)),
        ]

    seconds = np.array([1.0, 4.0, 0.0, 3.0])
    assert StepGraph.of(program(0.0)).step(seconds) == pytest.approx(5.0)
    assert StepGraph.of(program(1.0)).step(seconds) == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("group", "paces"),
    [
        ([0, 0, 0], [5.0 + 3.0 + 3.0] * 3),
        ([0, 0, 1], [5.0 + 3.0 + 3.0, 5.0 + 3.0 + 3.0, 6.0 + 1.0 + 1.0]),
        ([0, 1, 2], [5.0 + 2.0 + 3.0, 1.0 + 3.0 + 4.0, 6.0 + 1.0 + 1.0]),
    ],
)
def test_ranks_wait_for_each_other_where_they_meet(group, paces):
    """The slowest of the exchange, and the rank with most to do around it, count."""
    program = [
        operation("before", seconds=[5.0, 1.0, 6.0]),
        operation(
            "exchange",
            Stream.COMMUNICATION,
            after=("before",),
            seconds=[2.0, 3.0, 1.0],
            meets=np.array(group),
        ),
        operation("rest", after=("exchange",), seconds=[3.0, 4.0, 1.0]),
    ]
    graph = StepGraph.of(program)
    seconds = np.array([operation.seconds for operation in program])
    meetings = [operation.meeting for operation in program]
    np.testing.assert_allclose(graph.step(seconds, meetings), paces)
    passes = graph.circuit(seconds, meetings)
    np.testing.assert_allclose(passes.sum(axis=1), [1, 1, 1])
    assert (passes * seconds).sum() == pytest.approx(max(paces))
