"""What a look at a machine finds: said by the command line's process and by that of the engine."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: The thing: a package, a folder, a data set, a device.
        found: What there is of it.
        ok: True, False (missing, and needed), or None (worth knowing).
        remedy: What to do where it is missing.
    """

    what: str
    found: str
    ok: bool | None
    remedy: str = ""

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self))

    @staticmethod
    def read(text: str) -> list[Finding]:
        """Findings from lines of JSON; other lines are passed over."""
        return [Finding(**json.loads(line)) for line in text.splitlines() if line.startswith('{"what"')]
