"""What MkDocs does to the pages besides rendering them; see mkdocs.yml.

The pages are written to be read on GitHub, which knows the whole repository. The site
differs in three things:

- A file of the repository that a page links to, such as a module or the README of a
  catalogue, becomes a page of the site below ``repository/``. A link to a file that is
  not there stays as it is, so that MkDocs fails for it.
- In the Python reference mkdocstrings shows what api_reference.py wrote.
- The file name behind the language of a code block becomes the block's title.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
from api_reference import directives

_OUTSIDE = "repository/"
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?!\w+:)[^)#\s]+")
_NAMED = re.compile(r"^```(\w+) ([^\s=]+)$", re.MULTILINE)
_CODE = """\
---
search:
  exclude: true
---

# `{path}`

````{language} linenums="1"
{text}
````
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every file outside docs/ that a page leads to."""
    root = Path(config.docs_dir).parent
    queue = [
        (page.src_uri, page.content_string) for page in files.documentation_pages()
    ]
    while queue:
        page, text = queue.pop()
        for link in _LINK.findall(_FENCE.sub("", text)):
            target = _target(page, link)
            uri = _uri(root, target)
            if uri and uri.startswith(_OUTSIDE) and uri not in files.src_uris:
                content = _content(root, target)
                files.append(File.generated(config, uri, content=content))
                queue.append((uri, content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Turn what GitHub shows into what MkDocs shows."""
    root, here = Path(config.docs_dir).parent, page.file.src_uri

    def moved(link: re.Match[str]) -> str:
        uri = _uri(root, _target(here, link[0]))
        return posixpath.relpath(uri, posixpath.dirname(here)) if uri else link[0]

    pieces = _FENCE.split(directives(markdown))
    pieces[::2] = [_LINK.sub(moved, prose) for prose in pieces[::2]]
    return _NAMED.sub(r'```\1 title="\2"', "".join(pieces))


def _target(page: str, link: str) -> str:
    """Return the path in the repository that a link of a page leads to."""
    is_outside = page.startswith(_OUTSIDE)
    origin = page.removeprefix(_OUTSIDE) if is_outside else f"docs/{page}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))


def _uri(root: Path, target: str) -> str | None:
    """Return where MkDocs has a file of the repository; None if it does not exist."""
    path = root / target
    if target.startswith("..") or not path.exists():
        return None
    if path.is_dir():
        return f"{_OUTSIDE}{target}/README.md"
    if target.startswith("docs/") and path.suffix != ".py":
        return target.removeprefix("docs/")
    return f"{_OUTSIDE}{target}" + ("" if path.suffix == ".md" else ".md")


def _content(root: Path, target: str) -> str:
    """Return a file, the README of a folder, or a list of its files, as Markdown."""
    path = root / target
    if path.is_dir() and (path / "README.md").exists():
        path = path / "README.md"
    if path.is_dir():
        files = sorted(entry.name for entry in path.iterdir() if entry.is_file())
        return "\n".join([f"# `{target}`", "", *(f"- [`{n}`]({n})" for n in files)])
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return _CODE.format(path=target, language=path.suffix[1:] or "text", text=text)
