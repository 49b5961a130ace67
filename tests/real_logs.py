"""Fetch the real logs that packages of the package index ship with.

``make test-data`` runs this, with the standard library and pip alone. Files lie under
``build/data`` and are never committed: MovieLens' licence asks that it is not passed
on. Packages are not installed; of their archives only these files are unpacked, and
both have to be the ones that are known here. To read the name of a source archive pip
runs its ``setup.py``, after it has checked the archive.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parents[1] / "build" / "data"


class Package(NamedTuple):
    """A release, and files of its archive with their SHA-256."""

    name: str
    sha256: str
    folder: str
    files: dict[str, str]


PACKAGES = (
    # 100,000 ratings of 943 users (Harper, Konstan 2015, ACM TiiS 5(4)), not in time
    # order; what is known of users and films beside them.
    Package(
        "recbole==1.2.1",
        "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
        "recbole/dataset_example/ml-100k",
        {
            "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f"
            "996c4aea351b1272ca36b43da0935eff",
            "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81f"
            "e07d75e78abbe761e0cd4d0756064532",
            "ml-100k.user": "4f670007d9cfbeb9807e757209af1555"
            "b9bcc186bde25e767f67cb67c6dd5972",
        },
    ),
    # 200 samples of Criteo's display advertising challenge as libffm has them.
    Package(
        "xlearn==0.40a1",
        "fb2291653864c6dbd25440886144e6602a6280ab79b5eab7ae567e34a83177cc",
        "xlearn-0.40a1/compile/demo/classification/criteo_ctr",
        {
            "small_train.txt": "fcc9c7c008fa40d29c1ff5c93e8fcc2a"
            "8f4b223dd30bee671dfbaca289060837",
        },
    ),
)


def main() -> int:
    """Fetch what is not there; say what cannot be fetched."""
    return int(not all([fetch(package, FOLDER) for package in PACKAGES]))


def fetch(package: Package, folder: Path) -> bool:
    """Put the files of a package into a folder, unless they are there."""
    if all(digest(folder / name) == sha for name, sha in package.files.items()):
        return True
    with tempfile.TemporaryDirectory() as name:
        archive, error = download(package, Path(name))
        found = {} if archive is None else unpacked(package, archive)
    for name, data in found.items():
        if hashlib.sha256(data).hexdigest() != package.files[name]:
            error = f"{name} is another file than it was"
    if error:
        say(f"{package.name} cannot be fetched: {error}. Is there a package index?")
        return False
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in found.items():
        part = folder / f"{name}.part"
        part.write_bytes(data)
        part.replace(folder / name)
    say(f"{package.name}: {', '.join(package.files)} in {folder}")
    return True


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, of none if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def download(package: Package, folder: Path) -> tuple[Path | None, str]:
    """Return the archive of a package, or what pip says."""
    needs = folder / "needs.txt"
    needs.write_text(f"{package.name} --hash=sha256:{package.sha256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--require-hashes", "--retries", "1"]
    command += ["--timeout", "10", "--dest", str(folder), "--requirement", str(needs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = [path for path in folder.iterdir() if path != needs]
    if done.returncode == 0 and archives:
        return archives[0], ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return None, (lines or ["pip failed"])[-1].removeprefix("ERROR: ")


def unpacked(package: Package, archive: Path) -> dict[str, bytes]:
    """Read the files of an archive, a wheel or a compressed tar."""
    data, names = archive.read_bytes(), package.files
    if archive.suffix == ".whl":
        with zipfile.ZipFile(io.BytesIO(data)) as wheel:
            return {name: wheel.read(f"{package.folder}/{name}") for name in names}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = {name: tar.extractfile(f"{package.folder}/{name}") for name in names}
        return {name: file.read() for name, file in members.items() if file}


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
