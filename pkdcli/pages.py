"""How every page of pkd begins and is put together: one file, escaped, that needs no other and no network."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_HERE = Path(__file__).parent


def environment(folder: Path) -> Environment:
    """Reads templates of a folder, which extend `page_head.html`: it gives the head, they give the `body`.

    Whatever is put into a template is escaped. A template wants `title`, `made_by` (the command) and `css`.

    Args:
        folder: Where the templates are.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from pkdcli import __version__

    made = Environment(
        loader=FileSystemLoader([folder, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["breakable"] = lambda text: Markup(escape(str(text)).replace("__", "__<wbr>"))
    made.globals["version"] = __version__
    return made


def inlined(*files: Path) -> Markup:
    """Style sheets or scripts of pkd's own, to stand in a page as they are."""
    from markupsafe import Markup

    return Markup("".join(file.read_text(encoding="utf-8") for file in files))


def embedded(content: Any) -> Markup:
    """JSON that may stand in a script element: nothing in it ends that."""
    from markupsafe import Markup

    return Markup(json.dumps(content, ensure_ascii=False).replace("<", "\\u003c"))
