"""Asking a process of the engine: its answer, its errors, and its end with whatever ends the wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pkdcli.errors import PkdError
from pkdcli.launch.request import ask, ask_lines

ENGINE = "pkdcli.engine.some"

# It says which processes it is and has started, and then takes its time.
SLOW = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
path = {pids!r}
with open(path + ".part", "w") as file:
    file.write(f"{{os.getpid()}} {{child.pid}}")
os.rename(path + ".part", path)
print('{{"started": true}}', flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PKD_CACHE", str(tmp_path / "cache"))


def started(path: Path, seconds: float = 60) -> list[str]:
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return path.read_text().split()


def at_work(pid: str) -> bool:
    """Whether a process is there and has not ended; one that nobody has asked about yet stays as a zombie."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def left(pids: list[str], seconds: float = 30) -> list[str]:
    deadline = time.monotonic() + seconds
    while (found := [pid for pid in pids if at_work(pid)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def test_a_request_is_handed_over_with_the_caches_and_answered(engine, tmp_path):
    engine(
        ENGINE,
        "import json, os, sys; asked = json.load(open(sys.argv[2])); names = ('PKD_CACHE', 'XDG_CACHE_HOME', "
        "'OMP_NUM_THREADS'); json.dump({'asked': asked['a'], 'word': sys.argv[1], 'env': [os.environ[n] for n in "
        "names]}, open(asked['answer'], 'w'))",
    )
    cache = str(tmp_path / "cache")
    found = ask(ENGINE, {"a": 1}, "the work", ["--word"])
    assert found == {"asked": 1, "word": "--word", "env": [cache, cache, os.environ["OMP_NUM_THREADS"]]}


def test_lines_are_given_as_they_come_and_noise_is_passed_over(engine):
    engine(ENGINE, "print('noise'); print('{\"a\": 1}'); print('{\"b\": 2}')")
    assert list(ask_lines(ENGINE, {}, "the work")) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("import sys; sys.exit('no luck')", ("the work ended with exit code 1.", "no luck", 1)),
        ("import os; os.kill(os.getpid(), 9)", ("the work ended with exit code -9.", None, 1)),
    ],
)
def test_an_end_without_a_word_is_an_error(engine, script, error):
    engine(ENGINE, script)
    for wait in (lambda: ask(ENGINE, {}, "the work"), lambda: list(ask_lines(ENGINE, {}, "the work"))):
        with pytest.raises(PkdError) as caught:
            wait()
        assert (caught.value.message, caught.value.hint, caught.value.code) == error


@pytest.mark.parametrize("answer", ["", "[1]", "null", '"text"', "{half", "\xff"])
def test_an_answer_that_is_no_object_is_none(engine, answer):
    engine(
        ENGINE,
        f"import json, sys; path = json.load(open(sys.argv[1]))['answer']; open(path, 'wb').write({answer!r}.encode("
        "'latin-1')); sys.stderr.write('a hint\\n')",
    )
    with pytest.raises(PkdError) as caught:
        ask(ENGINE, {}, "the work")
    assert (caught.value.message, caught.value.hint) == ("the work ended with exit code 0.", "a hint")


ERRORS = [
    ({"message": "no weights.", "hint": "Get them.", "code": 3}, ("no weights.", "Get them.", 3)),
    ({"message": "no weights."}, ("no weights.", None, 1)),
    ({"message": "no weights.", "code": 77}, ("no weights.", None, 1)),
    ({"message": "no weights.", "code": "3"}, ("no weights.", None, 1)),
    ("out of luck", ("the work failed: out of luck", None, 1)),
    ({}, ("the work failed: {}", None, 1)),
    ([1], ("the work failed: [1]", None, 1)),
]


@pytest.mark.parametrize(("error", "expected"), ERRORS)
def test_what_a_process_says_went_wrong(engine, error, expected):
    engine(
        ENGINE,
        "import json, sys; text = json.dumps({'error': " + repr(error) + "}); print(text); "
        "asked = json.load(open(sys.argv[1])); 'answer' in asked and open(asked['answer'], 'w').write(text)",
    )
    for wait in (lambda: ask(ENGINE, {}, "the work"), lambda: list(ask_lines(ENGINE, {}, "the work"))):
        with pytest.raises(PkdError) as caught:
            wait()
        assert (caught.value.message, caught.value.hint, caught.value.code) == expected


def test_lines_that_only_look_like_answers_are_passed_over(engine):
    noise = b"{'loss': 1}\n{half\n{\xff\xfe}\n[1]\n\n{\"a\": 1, \"error\": null}\n{\"b\": 2}"
    engine(ENGINE, f"import sys; sys.stdout.buffer.write({noise!r})")
    assert list(ask_lines(ENGINE, {}, "the work")) == [{"a": 1, "error": None}, {"b": 2}]


def test_what_was_answered_before_the_end_is_given_and_then_the_end_is_told(engine):
    engine(ENGINE, "import sys; print('{\"a\": 1}', flush=True); sys.exit('lost')")
    lines = ask_lines(ENGINE, {}, "the work")
    assert next(lines) == {"a": 1}
    with pytest.raises(PkdError, match=r"^the work ended with exit code 1") as caught:
        next(lines)
    assert caught.value.hint == "lost"


def test_a_process_that_waits_for_input_gets_none(engine):
    engine(ENGINE, "import sys; print('{\"read\": %d}' % len(sys.stdin.read()))")
    assert list(ask_lines(ENGINE, {}, "the work")) == [{"read": 0}]


def test_ctrl_c_ends_the_process_and_what_it_has_started(engine, tmp_path):
    engine(ENGINE, SLOW.format(pids=str(tmp_path / "pids")))

    def interrupt():
        started(tmp_path / "pids")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        ask(ENGINE, {}, "the work")
    assert time.monotonic() - begin < 50
    assert left(started(tmp_path / "pids")) == []


def test_whoever_stops_listening_ends_the_process(engine, tmp_path):
    engine(ENGINE, SLOW.format(pids=str(tmp_path / "pids")))
    lines = ask_lines(ENGINE, {}, "the work")
    assert next(lines) == {"started": True}
    lines.close()
    assert left(started(tmp_path / "pids")) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="no other system tells a process that its parent died")
def test_the_process_does_not_outlive_whoever_asked(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW.format(pids=str(tmp_path / "pids")))
    code = "from pkdcli.launch.request import ask; ask('slow', {}, 'the work')"
    asking = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)})
    asked, _ = started(tmp_path / "pids")
    asking.kill()
    asking.wait()
    assert left([asked]) == []
    with suppress(ProcessLookupError):
        os.killpg(int(asked), signal.SIGKILL)  # what it has started, which is no business of the kernel's


def test_the_end_of_the_thread_that_asked_first_is_not_the_end_of_the_process(engine):
    engine(ENGINE, "import time\nprint('{\"n\": 1}', flush=True)\ntime.sleep(1)\nprint('{\"n\": 2}', flush=True)")
    lines, found = ask_lines(ENGINE, {}, "the measurement"), []
    thread = threading.Thread(target=lambda: found.append(next(lines)))
    thread.start()
    thread.join()
    assert [*found, *lines] == [{"n": 1}, {"n": 2}]
