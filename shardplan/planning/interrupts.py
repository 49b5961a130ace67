"""Signals that ask to stop: Ctrl-C, and SIGTERM from schedulers and ``timeout``."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Stoppable(Protocol):
    """Work that ends soon after it is asked to, with what it has by then."""

    requested: bool


class Interrupts:
    """Hears signals within its block, and lets go of them at its end.

    Until there is something to keep, a signal raises `KeyboardInterrupt` at once. After
    `ask` the first one asks, and only a second one raises. Signals that the process
    ignores stay ignored; threads other than the main one hear none.

    Parameters
    ----------
    signals : int
        Numbers of the signals to hear.
    say : callable, optional
        Is told at once what was heard and asked for; called by the signal handler.

    Attributes
    ----------
    raised : bool
        Whether there was a `KeyboardInterrupt`. Others may have made another error of
        it: pydantic does, where it is interrupted while it prepares a class.
    """

    def __init__(
        self, *signals: int, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self._signals = signals
        self._say = say
        self._work: Stoppable | None = None
        self._before: dict[int, object] = {}
        self._heard = signal.SIGINT
        self.raised = False

    def __enter__(self) -> Self:
        """Begin to hear."""
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = before
                    signal.signal(number, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        """Let the handlers from before hear again."""
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def ask(self, work: Stoppable) -> None:
        """From now on ask this work to stop before raising."""
        self._work = work

    @property
    def exit_code(self) -> int:
        """The code that shells have for the last signal: 130 or 143."""
        return 128 + self._heard

    @property
    def word(self) -> str:
        """What the last signal did."""
        return "terminated" if self._heard == signal.SIGTERM else "interrupted"

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._heard = signal.Signals(number)
        if self._work is None or self._work.requested:
            self.raised = True
            raise KeyboardInterrupt
        self._work.requested = True
        self._say(f"{self.word}: ending with what was found; once more ends at once")
