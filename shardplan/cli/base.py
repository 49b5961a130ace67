"""Commands and groups with examples, suggestions and lazy loading."""

from __future__ import annotations

import errno
import os
import signal
import traceback
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.errors import InputError, LimitError, PluginError, ShardplanError
from shardplan.io.outputs import announcing
from shardplan.planning.interrupts import Interrupts
from shardplan.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO


TRACEBACK = "SHARDPLAN_TRACEBACK"
"""Environment variable that has errors of plug-ins shown with their traceback."""


class _Exampled(click.Command):
    """A command whose help ends in examples."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(filter(None, map(str.strip, examples.splitlines())))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, one per line."""
        if self.examples:
            title = "Example" if len(self.examples) == 1 else "Examples"
            with formatter.section(title):
                for line in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Command(_Exampled):
    """A command whose help ends in examples."""


class Group(_Exampled, click.Group):
    """A group that suggests the nearest command for an unknown one."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-") and not ctx.resilient_parsing:
            from shardplan.io.wording import suggest

            shown = ", ".join(known)
            ctx.fail(f"No such command {name!r}{suggest(name, known)} ({shown})")
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group that imports a command when it runs.

    Parameters
    ----------
    lazy : mapping of command name to (module, short help)
        The command is the attribute ``command`` of its module.
    """

    def __init__(
        self, *args: Any, lazy: Mapping[str, tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands in the order of their use."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self.lazy:
            return None
        command = import_module(self.lazy[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])


class TopGroup(LazyGroup):
    """The top group: reports errors, and hears signals."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the options of the program itself."""
        with _printable_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what a user can cause ends in a message, not a traceback."""
        with Interrupts(signal.SIGINT, signal.SIGTERM, say=_say) as interrupts:
            ctx.obj = interrupts
            try:
                with announcing(), _printable_errors(), _plain_warnings():
                    return super().invoke(ctx)
            except ShardplanError as error:
                message, exit_code = describe(error), error.exit_code
                if isinstance(error, LimitError) and error.interrupted:
                    exit_code = interrupts.exit_code
            except KeyboardInterrupt:
                message, exit_code = interrupts.word, interrupts.exit_code
            except MemoryError:
                message, exit_code = "out of memory", 1
            except OSError as error:
                if error.errno == errno.EPIPE:
                    raise
                message, exit_code = str(error), 1
            except Exception:
                if not interrupts.raised:
                    raise
                message, exit_code = interrupts.word, interrupts.exit_code
            click.ClickException(printable(message)).show()
            return ctx.exit(exit_code)


def _say(text: str) -> None:
    """Say in a signal handler, where another print may be under way, what came."""
    os.write(2, f"{text}\n".encode())


@contextmanager
def _printable_errors() -> Iterator[None]:
    """Let click show nothing of an argument that a terminal would obey."""
    try:
        yield
    except click.UsageError as error:
        shown = printable(error.format_message())
        if shown == error.format_message():
            raise
        raise click.UsageError(shown, error.ctx) from error


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show warnings that are for users without the line of code that they are from."""
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, UserWarning):
                console.warn(str(message))
            else:
                others(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


def describe(error: ShardplanError) -> str:
    """Say what is wrong: one problem on the line, several below each other."""
    if isinstance(error, InputError):
        if len(error.problems) == 1:
            return str(error.problems[0])
        return f"{len(error.problems)} problems\n{error}"
    if isinstance(error, PluginError) and error.__cause__ is not None:
        if not os.environ.get(TRACEBACK):
            return f"{error}; set {TRACEBACK}=1 for the traceback"
        lines = traceback.format_exception(error.__cause__)
        return f"{error}\n{''.join(lines).rstrip()}"
    return str(error)
