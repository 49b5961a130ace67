"""What ``shardplan import`` says where there is no torch; the rest needs one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shardplan.integrations.torchrec import versions

if TYPE_CHECKING:
    import pytest

    from tests.cli.conftest import Run


def test_it_says_how_to_install_torchrec(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exit code 1 and without a traceback."""

    def lack(_: str) -> str:
        raise versions.PackageNotFoundError

    monkeypatch.setattr(versions, "version", lack)
    done = run("import", "torchrec", "my_model:make_model")
    assert done.exit_code == 1
    assert (
        "torchrec: is not installed; see docs/guides/install-torchrec.md" in done.stderr
    )
    assert done.stdout == ""
