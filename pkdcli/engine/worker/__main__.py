"""`python -m pkdcli.engine.worker RUN`: the command that queued scripts and job files of all releases name."""

from __future__ import annotations

import sys

from pkdcli.engine.worker.main import main

if __name__ == "__main__":
    sys.exit(main())
