"""Templates escape, and pages may load nothing."""

import base64
import hashlib
import json
import re
import sys

import pytest

from shardplan.errors import InputError
from shardplan.report.pages import template

HOSTILE = "</script><script>alert(1)</script>\u2028\u202e&<!--"


def test_json_cannot_end_its_element() -> None:
    """Nothing that HTML knows, nothing outside ASCII; read back, it is printable."""
    made = template.embedded_json({"a": [HOSTILE], HOSTILE: 1.5})
    assert made.isascii()
    assert not set("<>&") & set(made)
    back = json.loads(made)
    assert back["a"] == ["</script><script>alert(1)</script>\\u2028\\u202e&<!--"]


def test_numbers_that_json_lacks_are_errors() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        template.embedded_json(float("nan"))


def test_policy_allows_what_is_inside_alone() -> None:
    """The hashes are those of the style and the script as they stand in the page."""
    made = template.render(
        "base.html", data={}, version="1", title=HOSTILE, sections={}
    )
    assert "<script>alert" not in made
    assert "\\u202e" in made
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', made)
    policy = policy.replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data:;")
    for name in ("style", "script"):
        (inside,) = re.findall(rf"<{name}>(.*?)</{name}>", made, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra: what to install."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match=r"pip install 'shardplan\[report\]'"):
        template.require_libraries()
