"""What commands print from the first to the last of an experiment, with workers that are over at once."""

from __future__ import annotations

import re
import socket
import sys

import pytest

SMALL = "--scale tiny --data own.yaml"

TRANSCRIPTS = {
    "train": f"""\
train {SMALL} --loss none --dry-run
train {SMALL} --weight 5 --json --dry-run
train {SMALL} --loss none
train {SMALL} --weight 5
train {SMALL} --weight 5
train {SMALL} --weight 5 --json
train {SMALL} --weight 7 --json
train {SMALL} --weight 8 --quiet
status
status --json
list runs
list runs --json
report
report --format json
report --format md
show gfl101-fcos50__pkd-w5
logs gfl101-fcos50__pkd-w5
""",
    "sweep": f"""\
sweep {SMALL} --loss pkd,mse --weights 1,2 --dry-run
sweep {SMALL} --loss pkd,mse --weights 1,2 --dry-run --json
sweep {SMALL} --loss pkd,mse --weights 1,2
sweep {SMALL} --loss pkd,mse --weights 1,2 --json
sweep {SMALL} --loss mse --seeds 0,1 --quiet
status
report
""",
    "reproduce": f"""\
reproduce table8 {SMALL} --dry-run
reproduce table8 {SMALL} --dry-run --json
reproduce table8 {SMALL}
reproduce table8 {SMALL} --json
""",
    "failures": f"""\
MANNERS=pkd-w5=fails train {SMALL} --weight 5
MANNERS=pkd-w6=fails train {SMALL} --weight 6 --json
MANNERS=pkd-w7=dies train {SMALL} --weight 7
MANNERS=teacher=lacks train {SMALL} --pair faster101-faster50
status
report
MANNERS=x=x resume --all
status
train {SMALL} --weigth 5
train {SMALL} --loss pkdd
sweep {SMALL} --weights 5,x
""",
    "slurm": f"""\
train {SMALL} --loss none --launcher slurm --time 1:00:00 --memory 4G --dry-run
sweep {SMALL} --weights 1,2 --launcher slurm --gpus-per-node 2 --memory 4G --dry-run
""",
}

# What a worker is at in between, which is said where a machine is slow.
WHAT_IT_IS_AT = re.compile(r'__s\d-\w+: (starting|finishing|epoch)|^{"event": "status"')


@pytest.fixture
def plain(tmp_path):
    """Text without what differs between two machines, two folders or two moments."""

    def plain(text: str) -> str:
        text = text.replace(str(tmp_path), "/here").replace(sys.executable, "/python")
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
        text = re.sub(r'"(pid|host|where)": ("[^"]*"|\d+)', r'"\1": "HERE"', text)
        text = text.replace(f"{socket.gethostname()}, process", "HOST, process")
        text = re.sub(r"-runs-[0-9a-f]{8}", "-runs-HASH", text)
        text = re.sub(r"process \d+", "process N", text)
        # Where a run is stands in the last column, which is as wide as that is long.
        lines = [re.sub(r"(━+|─+| +)([┓┩┘┃│])$", r"\2", line.rstrip()) for line in text.splitlines()]
        return "".join(f"{line}\n" for line in lines if not WHAT_IT_IS_AT.search(line))

    return plain


@pytest.mark.parametrize("name", TRANSCRIPTS)
@pytest.mark.usefixtures("own", "stand_in")
def test_transcript(type_, plain, golden, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "160")
    said = []
    for line in TRANSCRIPTS[name].splitlines():
        words = line.split()
        if words[0].startswith("MANNERS="):
            monkeypatch.setenv("MANNERS", words.pop(0).removeprefix("MANNERS="))
        code, out, err = type_(*words)
        said += [f"$ pkd {' '.join(words)}\n{out}", f"-- said beside:\n{err}" if err else "", f"-- exit code {code}\n"]
    golden(f"transcripts/{name}.txt", plain("".join(said)))
