"""Fill templates: everything is escaped, and the page may load nothing at all."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from shardplan.errors import InputError
from shardplan.printable import one_line
from shardplan.report.pages.palette import BACKGROUNDS, COLOURS

if TYPE_CHECKING:
    from jinja2 import Environment


def require_libraries() -> None:
    """Refuse to make a page without what pages are made with.

    Raises
    ------
    InputError
        If the extra ``report`` is not installed.
    """
    try:
        import jinja2  # noqa: F401
        import PIL  # noqa: F401
    except ImportError as error:
        rule = "pages need Jinja2 and Pillow: pip install 'shardplan[report]'"
        raise InputError.single("report", "", None, rule) from error


def render(template: str, *, data: object, name: str = "page", **values: Any) -> str:
    """Fill a template that extends ``base.html``.

    Parameters
    ----------
    template : str
        File in ``templates/``.
    data : object
        What the script reads; JSON-able.
    name : str
        Script in ``assets/``; a style of this name follows that of all pages.
    values
        Names in the template.
    """
    style, script = _style(name), _asset(f"{name}.js")
    return (
        _environment()
        .get_template(template)
        .render(
            style=style,
            script=script,
            policy=_policy(style, script),
            data=embedded_json(data),
            **values,
        )
    )


def embedded_json(data: object) -> str:
    """Write JSON that can neither end its script element nor hide anything.

    Text outside ASCII is escaped, and with it what turns the direction of text; so are
    the characters that HTML knows. Texts are printable when the script shows them.
    """
    text = json.dumps(_printable(data), separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _printable(data: Any) -> Any:
    if isinstance(data, str):
        return one_line(data)
    if isinstance(data, dict):
        return {one_line(str(key)): _printable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_printable(value) for value in data]
    return data


def _policy(style: str, script: str) -> str:
    """Allow this style, this script, and pictures inside the page; nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _style(name: str) -> str:
    """Return the style of all pages, with the colours in front, and that of one."""
    names = [f"--s{index}:{value}" for index, value in enumerate(COLOURS)]
    names += [f"--back-{name}:{value}" for name, value in BACKGROUNDS.items()]
    own = "" if name == "page" else _asset(f"{name}.css")
    return f":root{{{';'.join(names)}}}\n{_asset('page.css')}{own}"


@cache
def _asset(name: str) -> str:
    found = files("shardplan.report.pages").joinpath("assets", name)
    return found.read_text(encoding="utf-8")


def _shown(value: Any) -> Any:
    """Escape what a reader would not see, wherever a template shows text."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return one_line(value)
    return value


@cache
def _environment() -> Environment:
    require_libraries()
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("shardplan.report.pages", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
