"""What is kept, for whom, and how much of it."""

from __future__ import annotations

from functools import partial

from shardplan.records.memo import by_identity


def test_the_same_objects() -> None:
    """Equal lists are others; equal numbers and texts are the same."""
    calls: list[object] = []

    @by_identity
    def told(records: list[int], number: int, text: str) -> int:
        calls.append(records)
        return len(calls)

    one, other = [1], [1]
    assert told(one, 10**6, "a b") == told(one, 10**3 * 10**3, " ".join("ab")) == 1
    assert told(other, 10**6, "a b") == 2
    assert told(one, 10**6 + 1, "a b") == 3
    assert told(one, 10**6, "a") == 4
    assert told(one, 10**6, "a b") == 1


def test_only_the_last_ones() -> None:
    """What was used longest ago goes first."""
    made: list[int] = []

    @partial(by_identity, most=2)
    def length(some: list[int]) -> int:
        made.append(len(some))
        return len(some)

    one, two, three = [1], [1, 2], [1, 2, 3]
    for some in (one, two, one, three, one, two):
        length(some)
    assert made == [1, 2, 3, 2]


def test_identities_are_not_taken_over() -> None:
    """New objects at the address of old ones are not mistaken for these."""

    @by_identity
    def first(some: list[int]) -> int:
        return some[0]

    assert [first([number]) for number in range(50)] == list(range(50))
