"""mmrazor raises the recursion limit for the whole process; here it does not."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import json, sys
limit = sys.getrecursionlimit()
from pkdcli.compat import activate
activate()
activate()
import mmrazor.models, mmrazor.structures
from mmrazor.structures.graph import channel_flow
from mmrazor.models.task_modules.tracer import fx_tracer
assert channel_flow.__file__ and fx_tracer.__file__
assert sys.getrecursionlimit() == limit, sys.getrecursionlimit()
try:
    json.loads("[" * 100_000)
except RecursionError:
    print("refused in words")
"""


def test_a_file_nested_too_deeply_does_not_kill_the_process():
    process = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stdout) == (0, "refused in words\n"), process.stderr[-2000:]
