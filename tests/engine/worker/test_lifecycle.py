"""How a worker ends: which error becomes which words and which exit code, and where they are written."""

from __future__ import annotations

import errno
import json

import pytest

from pkdcli.engine.distributed.stop import StopRequested
from pkdcli.engine.worker.lifecycle import as_user_error, error_file, error_from_other_rank, explain, start
from pkdcli.errors import ExitCode, PkdError
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.status import Status
from pkdcli.runs.store import read_object, write_json

LOG = "The whole story is in the run's log.txt."
SMALLER = "Give a smaller --batch-size (with --accumulate to keep the sum), or --amp on a GPU."


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    (tmp_path / "run").mkdir()
    return RunPaths(tmp_path / "run")


@pytest.mark.parametrize("error", [StopRequested(), KeyboardInterrupt()])
def test_a_stop_is_an_interruption_and_no_failure(paths, error, capsys):
    assert explain(error, Status(paths), None) == 130
    assert read_object(paths.status)["state"] == "interrupted"
    assert capsys.readouterr().err == ""


def test_only_the_first_process_writes_that_the_run_was_interrupted(paths):
    assert explain(KeyboardInterrupt(), Status(paths), None, rank=1) == 130
    assert not paths.status.exists()


def test_an_error_for_users_keeps_its_words_and_its_code(paths, capsys):
    error = PkdError("no data in /däta.", "Mount it.", ExitCode.MISSING)
    assert explain(error, Status(paths), None) == 3
    written = read_object(paths.status)
    assert written["state"] == "failed"
    assert "no data in /däta." in json.dumps(written, ensure_ascii=False)
    assert capsys.readouterr().err == "error: no data in /däta.\nMount it.\n"


def test_an_evaluation_answers_with_its_error_in_the_request(paths, tmp_path):
    assert explain(PkdError("bad.", "Mend it."), None, tmp_path / "answer.json") == 2
    assert read_object(tmp_path / "answer.json") == {"error": {"message": "bad.", "hint": "Mend it.", "code": 2}}


def test_another_process_leaves_its_error_for_the_first_which_tells_it_in_place_of_its_own(paths, capsys):
    other = error_file(paths)
    assert other.name == ".error-.json"
    assert explain(PkdError("rank 1 met a broken image.", None, ExitCode.MISSING), Status(paths), None, 1, other) == 3
    assert not paths.status.exists()
    assert explain(RuntimeError("connection closed by peer"), Status(paths), None, 0, other) == 3
    assert "rank 1 met a broken image." in json.dumps(read_object(paths.status))
    assert capsys.readouterr().err.endswith("error: rank 1 met a broken image.\n")
    assert not other.exists()


def test_the_first_process_keeps_an_error_of_its_own_that_users_can_act_on(paths):
    write_json(error_file(paths), {"message": "theirs", "hint": None, "code": 1})
    assert explain(PkdError("mine"), Status(paths), None, 0, error_file(paths)) == 2
    assert "mine" in json.dumps(read_object(paths.status))


@pytest.mark.parametrize("text", [None, "{half", "[]", '{"hint": "x"}'])
def test_no_error_or_a_damaged_one_of_another_process_is_none(paths, text):
    if text is not None:
        error_file(paths).write_text(text)
    assert error_from_other_rank(error_file(paths), wait=0) is None


def test_errors_of_two_launches_lie_in_two_files(paths, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "abc")
    assert error_file(paths) == paths.root / ".error-abc.json"


@pytest.mark.parametrize(
    "error",
    [MemoryError(), RuntimeError("CUDA Out Of Memory. Tried"), RuntimeError("you can't allocate memory: 8 bytes")],
)
def test_too_little_memory_says_how_to_take_less(error):
    found = as_user_error(error)
    assert (found.hint, found.code) == (SMALLER, 1)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_names_the_file(number):
    found = as_user_error(OSError(number, "full", "/runs/a/log.txt"))
    assert found.code == ExitCode.MISSING
    assert "/runs/a/log.txt" in found.message


def test_a_file_that_the_system_refuses_is_named_without_the_errors_number():
    found = as_user_error(PermissionError(errno.EACCES, "Permission denied", "/data/ä.jpg"))
    assert (found.message, found.hint, found.code) == ("/data/ä.jpg: Permission denied.", None, 1)


def test_any_other_error_points_at_the_log_only_where_there_is_one():
    assert as_user_error(ValueError("odd")).hint == LOG
    assert as_user_error(ValueError("odd"), log=False).hint is None
    try:
        raise ValueError("odd")
    except ValueError as error:
        hint = as_user_error(error, log=False).hint
    assert hint.startswith("It was raised in ")
    assert "test_lifecycle.py" in hint


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_a_run_without_a_job_says_what_to_do(paths, text):
    if text is not None:
        paths.job.write_text(text)
    with pytest.raises(PkdError) as caught:
        start(paths, 0)
    assert str(caught.value) == f"{paths.job} is absent or damaged.\nType the command that made the run again."


def test_a_start_forgets_the_last_ones_error_and_cancellation_but_only_in_the_first_process(paths):
    write_json(paths.job, {"cache": "/c"})
    for old in (error_file(paths), paths.cancel):
        old.write_text("{}")
    assert start(paths, 1) == {"cache": "/c"}
    assert error_file(paths).exists()
    assert paths.cancel.exists()
    start(paths, 0)
    assert not error_file(paths).exists()
    assert not paths.cancel.exists()
    assert read_object(paths.status)["state"] == "running"
