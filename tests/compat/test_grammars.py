"""mmengine imports yapf, whose cache of grammars two processes write at once when a machine is new."""

from __future__ import annotations

import os
import subprocess
import sys

IMPORT = "from pkdcli.compat import activate; activate(); import mmengine.config"


def imported(cache) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    return subprocess.run([sys.executable, "-c", IMPORT], env=environment, capture_output=True, text=True)


def test_a_half_written_grammar_is_made_anew(tmp_path):
    assert imported(tmp_path).returncode == 0
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.pickle")}
    assert len(kept) == 2
    for path, content in kept.items():
        path.write_bytes(content[: len(content) // 2])
    found = imported(tmp_path)
    assert found.returncode == 0, found.stderr
    assert {path: len(path.read_bytes()) for path in kept} == {path: len(content) for path, content in kept.items()}
