"""Plans with pages, and a reader of pages."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from shardplan.checking import examine
from shardplan.planning import planner
from shardplan.plans.evaluation import Evaluation, evaluate
from shardplan.report.pages.plan_data import plan_page_data

VOID = {"br", "hr", "img", "input", "link", "meta"}


class Page(HTMLParser):
    """A page as lists of its elements; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    def values(self, attribute: str) -> list[str]:
        """Every value of an attribute."""
        found = (attributes.get(attribute) for _, attributes in self.elements)
        return [value for value in found if value is not None]

    @property
    def text(self) -> str:
        """What a reader sees."""
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    """A plan of DLRM-DCNv2 for two hosts."""
    return evaluate(planner.solve("dlrm-dcnv2", "dgx-h100:2", solver="greedy").plan)


@pytest.fixture(scope="session")
def data(evaluation: Evaluation) -> dict[str, Any]:
    """What its page says."""
    return plan_page_data(evaluation, examine(evaluation.plan))
