"""yapf, which mmengine imports for laying out configs, keeps its grammars in the user's cache folder."""

from __future__ import annotations

import io
import pkgutil
from contextlib import suppress
from pathlib import Path
from typing import Any

_PACKAGE = "yapf_third_party._ylib2to3"


def allow_damaged() -> None:
    """Have yapf make a grammar anew where the file that keeps it is not whole.

    yapf 0.43 gives the file its name before all of it is written (`Grammar.dump` renames an open, buffered file). A
    second process that starts meanwhile finds half a pickle and dies of an EOFError, and so does every later one where
    the first was killed there. Call it before the first import of mmengine.
    """
    try:
        from yapf_third_party._ylib2to3.pgen2.grammar import Grammar
    except ImportError:  # another release: what it does is its own affair
        return
    load = Grammar.load
    if getattr(load, "mended", False):
        return

    def whole(self: Any, filename: str) -> None:
        try:
            load(self, filename)
        except Exception:  # half a pickle may raise anything
            from yapf_third_party._ylib2to3.pgen2 import pgen

            text = pkgutil.get_data(_PACKAGE, Path(filename).name.partition("-py")[0] + ".txt")
            if text is None:
                raise
            self.__dict__.update(vars(pgen.generate_grammar(io.StringIO(text.decode()))))
            with suppress(OSError):  # as yapf has it: it goes without
                self.dump(filename)

    whole.mended = True  # type: ignore[attr-defined]
    Grammar.load = whole
