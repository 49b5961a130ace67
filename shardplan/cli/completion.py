"""``shardplan completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from shardplan.cli import console
from shardplan.cli.base import Command
from shardplan.cli.options import report_options


@click.command(
    "completion",
    cls=Command,
    examples="""
    shardplan completion bash >> ~/.bashrc
    shardplan completion zsh >> ~/.zshrc
    shardplan completion fish -o ~/.config/fish/completions/shardplan.fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@report_options
@click.pass_context
def command(ctx: click.Context, shell: str, form: str, output: str) -> None:
    """Print a shell completion script.

    It completes commands, options, and the names of shipped files.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    complete = kind(ctx.find_root().command, {}, "shardplan", "_SHARDPLAN_COMPLETE")
    script = complete.source_template % complete.source_vars()
    if form == "json":
        console.write(console.json_report({"shell": shell, "script": script}), output)
    else:
        console.write(script + "\n", output)
