"""JSON, and errors that nobody expects."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from shardplan.cli import console
from shardplan.cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path


def test_json_refuses_nan() -> None:
    """Numbers that JSON does not have are never written."""
    with pytest.raises(ValueError, match="JSON compliant"):
        console.to_json({"x": math.nan})


@pytest.mark.parametrize(
    ("error", "text"),
    [(MemoryError(), "out of memory"), (OSError(5, "Input/output error"), "output")],
)
def test_errors_of_the_machine(
    monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    """Lack of memory and broken disks are messages with code 1."""

    def fail(kind: str) -> list[str]:
        raise error

    monkeypatch.setattr("shardplan.io.catalog.names", fail)
    result = CliRunner().invoke(cli, ["topology", "list"])
    assert result.exit_code == 1
    assert text in result.stderr


def test_place_must_exist(tmp_path: Path) -> None:
    """Standard output and new files in a folder are places; folders are not."""
    from shardplan.errors import InputError

    console.require_place(None)
    console.require_place("-")
    console.require_place(str(tmp_path / "new.json"))
    with pytest.raises(InputError, match="directory"):
        console.require_place(str(tmp_path))
