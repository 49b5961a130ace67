"""Run a script on several processes of one gloo group."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 150


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def leave() -> NoReturn:
    """End this process once all ranks are done.

    At the end of the interpreter threads of gloo may still run, and then abort it.
    """
    import torch.distributed as dist

    dist.barrier()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def run(
    script: Path,
    *arguments: str,
    world: int,
    local: int | None = None,
    **environment: str,
) -> list[subprocess.CompletedProcess[str]]:
    """Run a script once per rank, all at the same time; return what they said."""
    local = local or world
    common = {
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(local),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        **environment,
    }
    command = [sys.executable, str(script), *arguments]
    processes = [
        subprocess.Popen(
            command,
            env={**os.environ, **common, "RANK": str(r), "LOCAL_RANK": str(r % local)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for r in range(world)
    ]
    done = []
    try:
        for process in processes:
            out, err = process.communicate(timeout=TIMEOUT_S)
            done.append(
                subprocess.CompletedProcess(command, process.returncode, out, err)
            )
    finally:
        for process in processes:
            process.kill()
    return done


def fork(work: Callable[[int], NoReturn], world: int, local: int) -> None:
    """Do some work once per rank in copies of this process, which imports but once.

    Raises
    ------
    RuntimeError
        If one fails, or they are not done in time.
    """
    os.environ |= {
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": str(free_port()),
        "WORLD_SIZE": str(world),
        "LOCAL_WORLD_SIZE": str(local),
    }
    children = []
    for rank in range(world):
        child = os.fork()
        if child == 0:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank % local)}
            work(rank)
        children.append(child)
    codes = _end(children)
    if any(codes):
        raise RuntimeError(f"exit codes of ranks: {codes}")


def _end(children: list[int]) -> list[int]:
    """Wait for processes, and end all once one has failed or the time is over."""
    until, codes = time.monotonic() + TIMEOUT_S, dict.fromkeys(children)
    while None in codes.values():
        for child in [child for child in children if codes[child] is None]:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                codes[child] = os.waitstatus_to_exitcode(status)
        if any(codes.values()) or time.monotonic() > until:
            for child in [child for child in children if codes[child] is None]:
                os.kill(child, signal.SIGKILL)
                codes[child] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(0.02)
    return [int(code or 0) for code in codes.values()]
