"""`pkd logs`: what a run printed, its end, and what it goes on to print."""

from __future__ import annotations

import threading
import time

from pkdcli.runs.store import write_json

TINY = ("--scale", "tiny", "--data")


def test_a_log_and_its_end(type_, run):
    run("a", "interrupted", log="one\ntwo\nthree\n")
    assert type_("logs", "a").out == "one\ntwo\nthree\n"
    assert type_("logs", "a", "-n", "1").out == "three\n"
    assert type_("logs", "a", "-n", "0").out == ""


def test_a_run_without_a_log(type_, run):
    run("a", "interrupted")
    said = type_("logs", "a")
    assert (said.code, said.err) == (3, "error: a has no log yet: it is interrupted.\n")


def test_an_ambiguous_name(type_, run):
    run("a-1", "done")
    run("a-2", "done")
    assert type_("logs", "a").err == "error: 2 runs begin with 'a':\n  a-1\n  a-2\nGive more of its name.\n"


def test_following_a_log_ends_with_the_run(type_, run, monkeypatch, mine):
    from pkdcli.api.runs import logs

    monkeypatch.setattr(logs, "SECONDS", 0.01)
    folder = run("a", "running", log="one\n", **mine)

    def go():
        time.sleep(0.2)
        with open(folder / "log.txt", "a") as log:
            log.write("two\n")
        write_json(folder / "status.json", {"run": "a", "state": "interrupted"})

    thread = threading.Thread(target=go)
    thread.start()
    assert type_("logs", "a", "-f").out == "one\ntwo\n"
    thread.join()
