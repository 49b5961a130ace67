"""Real logs are the known ones or none, and nothing else of an archive is kept."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests import real_logs
from tests.real_logs import Package

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b"user\titem\n1\t2\n"
PACKAGE = Package(
    "logs==1", "0" * 64, "logs/data", {"a.tsv": hashlib.sha256(TEXT).hexdigest()}
)


def archive(folder: Path, suffix: str, text: bytes) -> Path:
    path = folder / f"logs{suffix}"
    if suffix == ".whl":
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr("logs/data/a.tsv", text)
            wheel.writestr("logs/data/b.tsv", text)
        return path
    with tarfile.open(path, "w:gz") as tar:
        for name in ("a.tsv", "b.tsv"):
            member = tarfile.TarInfo(f"logs/data/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return path


@pytest.mark.parametrize("suffix", [".whl", ".tar.gz"])
def test_only_the_known_file_is_unpacked(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of both kinds of archives; the second time nothing is fetched."""
    found = [(archive(tmp_path, suffix, TEXT), "")]
    monkeypatch.setattr(real_logs, "download", lambda *_: found.pop())
    target = tmp_path / "build" / "data"
    assert real_logs.fetch(PACKAGE, target)
    assert real_logs.fetch(PACKAGE, target)
    assert [path.name for path in target.iterdir()] == ["a.tsv"]
    assert (target / "a.tsv").read_bytes() == TEXT


def test_another_file_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is named, and not kept."""
    other = archive(tmp_path, ".whl", TEXT + b"3\t4\n")
    monkeypatch.setattr(real_logs, "download", lambda *_: (other, ""))
    assert not real_logs.fetch(PACKAGE, tmp_path / "data")
    assert "a.tsv is another file than it was" in capsys.readouterr().out
    assert not (tmp_path / "data").exists()


def test_without_an_index_it_is_said(tmp_path: Path) -> None:
    """With what pip says, and exit code 1."""
    code = (
        "from pathlib import Path; from tests import real_logs as r; "
        f"r.FOLDER = Path({str(tmp_path)!r}); r.PACKAGES = r.PACKAGES[:1]; "
        "raise SystemExit(r.main())"
    )
    none = {**os.environ, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, env=none, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "recbole==1.2.1 cannot be fetched: No matching" in done.stdout
    assert not list(tmp_path.iterdir())
