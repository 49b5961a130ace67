"""The commands that the catalogues share: list, show, validate, copy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shardplan.cli import console
from shardplan.cli.base import Command, Group
from shardplan.cli.options import CatalogueEntry, report_options
from shardplan.errors import Fault, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from shardplan.io.catalog import Kind

    Data = dict[str, Any]
    Render = Callable[[Data], RenderableType]


@dataclass(frozen=True)
class Catalogue:
    """What is particular to one catalogue; functions import when they are called.

    Attributes
    ----------
    load : callable
        From a name or path to a record.
    summary : callable
        From a record to its line in the list.
    render : callable
        From the data of the list to its layout.
    example, shipped : str
        What examples call a file of the user's own, and an entry to copy.
    verbs : str
        What the help says that its commands do.
    check : callable, optional
        As `load`, with more to tell of a file that is validated.
    """

    kind: Kind
    noun: str
    plural: str
    example: str
    shipped: str
    load: Callable[[str], Any]
    summary: Callable[[Any], Data]
    render: Render
    verbs: str = "List, show, validate and copy"
    check: Callable[[str], Any] | None = None

    def group(self, *own: click.Command) -> Group:
        """Make the group of commands, with those of its own that show an entry."""
        help_text = f"{self.verbs} {self.plural}."
        name = self.noun.replace(" ", "-")
        group = Group(name, help=help_text, examples=f"shardplan {name} list")
        group.add_command(self._list_command(name))
        for command in own:
            group.add_command(command)
        group.add_command(self._validate_command(name))
        group.add_command(self._copy_command(name))
        return group

    def _list_command(self, name: str) -> click.Command:
        @click.command(
            "list",
            cls=Command,
            help=f"List the shipped {self.plural}.",
            examples=f"shardplan {name} list --format json",
        )
        @report_options
        def command(form: str, output: str) -> None:
            from shardplan.io.catalog import names

            entries = [self.summary(self.load(entry)) for entry in names(self.kind)]
            console.report({self.kind: entries}, self.render, form, output)

        return command

    def _validate_command(self, name: str) -> click.Command:
        @click.command(
            "validate",
            cls=Command,
            help=f"Validate a file; every problem is on a line.\n\nThe exit code is 1 "
            f"if the {self.noun} is not valid.",
            examples=f"shardplan {name} validate ./my-{self.example}.toml",
        )
        @click.argument("file", type=CatalogueEntry(self.kind))
        @report_options
        @click.pass_context
        def command(ctx: click.Context, file: str, form: str, output: str) -> None:
            data = self._validation(file)
            console.report(data, _render_validation, form, output)
            if data["status"] != "valid":
                ctx.exit(1)

        return command

    def _copy_command(self, name: str) -> click.Command:
        @click.command(
            "copy",
            cls=Command,
            help=f"Copy a shipped {self.noun} to a file of your own.\n\nComments and "
            "sources are kept; a file of tables that it names is put beside it.",
            examples=f"shardplan {name} copy {self.shipped} ./my-{self.example}.toml",
        )
        @click.argument("name", type=CatalogueEntry(self.kind))
        @click.argument("file", type=click.Path(path_type=Path))
        @click.option("--force", is_flag=True, help="Overwrite files that exist.")
        @report_options
        def command(name: str, file: Path, force: bool, form: str, output: str) -> None:
            written = copy_entry(self.kind, name, file, force=force)
            console.report({"files": written}, _render_copy, form, output)

        return command

    def _validation(self, file: str) -> Data:
        try:
            name = (self.check or self.load)(file).name
        except InputError as error:
            problems = [
                {"where": p.where, "key": p.key, "value": p.value, "rule": p.rule}
                for p in error.problems
            ]
            return {"status": "invalid", "name": None, "problems": problems}
        return {"status": "valid", "name": name, "problems": []}


def copy_entry(kind: Kind, name: str, file: Path, *, force: bool) -> list[str]:
    """Write a shipped entry to `file`, and return the names of what was written.

    Raises
    ------
    InputError
        If `name` is not shipped, or a file exists and `force` is false.
    """
    from shardplan.io.atomic import write_text_atomically
    from shardplan.io.catalog import shipped_files

    texts = shipped_files(kind, name)
    if file.suffix.lower() != ".toml":
        raise InputError.single(str(file), "", None, "must end in .toml, its format")
    main, *others = texts
    places = {file.parent / other: texts[other] for other in others}
    places[file] = texts[main]
    if not force:
        rule = "exists already; --force overwrites it"
        problems = [Fault(str(p), "", "", rule) for p in places if p.exists()]
        if problems:
            raise InputError(problems)
    for place, text in places.items():
        write_text_atomically(place, text)
    return [str(place) for place in reversed(places)]


def _render_copy(data: Data) -> RenderableType:
    from shardplan.report.layout import lines

    return lines([f"written: {name}" for name in data["files"]])


def _render_validation(data: Data) -> RenderableType:
    from shardplan.report.layout import lines

    problems = [str(Fault(**problem)) for problem in data["problems"]]
    return lines(problems or [f"valid: {data['name']}"])
