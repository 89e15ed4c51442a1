"""Students that train together end as each of them ends alone, bit for bit, whatever becomes of the others."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import time

import pytest

import pkdcli.engine.register  # noqa: F401

# isort: split
import torch

from pkdcli.data.prepare import prepare
from pkdcli.engine.distributed.stop import STOP, Paused
from pkdcli.engine.train.hooks.mean_weights import MeanWeightsHook
from pkdcli.engine.train.hooks.progress import PkdProgressHook
from pkdcli.engine.train.runner import detector
from pkdcli.engine.worker import group as groups
from pkdcli.engine.worker import isolation, lifecycle, single
from pkdcli.engine.worker.group import train_group
from pkdcli.engine.worker.member import Member
from pkdcli.experiment import plan
from pkdcli.experiment import prepare as preparation
from pkdcli.recipe.resolve import Request, resolve
from pkdcli.runs.lock import RunLock
from pkdcli.runs.paths import RunPaths
from pkdcli.runs.store import read_jsonl, read_object, write_json

CLOCKS = ("seconds", "data_seconds", "val_seconds")
LOSSES = {"baseline": ("none", None), "pkd": ("pkd", 10.0), "mse": ("mse", 30.0), "diverging": ("mse", 1e40)}
STEPS = 8


class Killed(BaseException):
    """Ends everything where it stands, as SIGKILL does: nobody gets to write a word."""


@pytest.fixture(scope="module")
def lay(tmp_path_factory, micro):
    """`lay(folder)`: run directories in there, by what their students learn, ready to be carried out."""
    base = tmp_path_factory.mktemp("shared")
    cache = base / "cache"
    sets = ("scale.teacher.epochs=1", "checkpoint_iters=3")

    def run(folder, loss, weight, **changes):
        asked = {"loss": loss, "weight": weight, "data": str(micro), "scale": "tiny", "epochs": 2, "batch_size": 4}
        recipe = resolve(Request(**{**asked, "workers": 0, "sets": sets, **changes}))
        recipe = recipe.model_copy(update={"data": prepare(recipe.data, cache, None)})
        *teachers, student = plan.plan([recipe], base / folder, cache)
        for one in (*teachers, student):
            if not one.paths.weights(one.recipe.role).exists():
                preparation.prepare(one, cache)
        for one in teachers:
            if not one.paths.teacher.exists():
                alone(one.paths)
        return student.paths

    def lay(folder, names=tuple(LOSSES), **changes):
        return {name: run(folder, *LOSSES[name], **changes) for name in names}

    return lay


def alone(paths: RunPaths) -> None:
    single.run(paths, lifecycle.start(paths, 0))


def together(runs: dict[str, RunPaths]) -> dict[str, int]:
    codes = train_group([paths.root for paths in runs.values()])
    return {name: codes[paths.run] for name, paths in runs.items()}


def hold(paths: RunPaths, held) -> None:
    with RunLock(paths):
        held.set()
        time.sleep(600)


def content(paths: RunPaths) -> tuple[dict, list, dict]:
    """Weights, records and result, without what a clock or a folder says."""
    weights = torch.load(paths.student, weights_only=False)["state_dict"]
    records = [record for record in read_jsonl(paths.metrics) if record["kind"] != "start"]
    records = [{key: value for key, value in record.items() if key not in CLOCKS} for record in records]
    result = read_object(paths.result)
    clocks = ("seconds", "train_seconds", "images_per_second", "peak_memory_mb", "shared_with")
    return weights, records, {key: value for key, value in result.items() if key not in clocks}


def assert_same(ours: RunPaths, theirs: RunPaths) -> None:
    (weights, records, result), (expected, wanted, reference) = content(ours), content(theirs)
    assert weights.keys() == expected.keys()
    for name, tensor in weights.items():
        assert torch.equal(tensor, expected[name]), name
    assert records == wanted
    assert result == reference


@pytest.fixture(scope="module")
def reference(lay):
    """The students that end well, each trained alone."""
    runs = lay("alone", ("baseline", "pkd", "mse"))
    for paths in runs.values():
        alone(paths)
    return runs


@pytest.fixture(scope="module")
def shared(lay):
    """All four together, and one that does not belong there: their directories, exit codes, and lessons."""
    lessons = []

    class Noted(groups.SharedTeacher):
        def __init__(self):
            super().__init__()
            lessons.append(self)

    runs = lay("together") | {"stranger": lay("together", ("mse",), seed=1)["mse"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "SharedTeacher", Noted)
        codes = together(runs)
    return runs, codes, lessons


def test_every_student_ends_as_it_does_alone(shared, reference):
    runs, _, _ = shared
    for name, paths in reference.items():
        assert_same(runs[name], paths)


def test_the_teacher_is_asked_once_a_step(shared):
    (shared_teacher,) = shared[2]
    assert shared_teacher.forwards == STEPS


def test_one_students_divergence_is_its_own_affair(shared):
    runs, codes, _ = shared
    assert codes == {"baseline": 0, "pkd": 0, "mse": 0, "diverging": 1, "stranger": 2}
    status = read_object(runs["diverging"].status)
    assert status["state"] == "failed"
    assert status["error"]["message"].startswith("training diverged: the loss is inf at step 1")
    assert (runs["diverging"].root / "nan.json").is_file()
    assert not runs["diverging"].result.exists()
    assert {read_object(runs[name].status)["state"] for name in ("baseline", "pkd", "mse")} == {"done"}


def test_each_has_all_files_of_a_run_and_a_log_of_its_own(shared, reference):
    runs, _, _ = shared
    for name, paths in reference.items():
        files = {path.name for path in paths.root.iterdir()}
        assert {path.name for path in runs[name].root.iterdir()} == files | {"log.txt"}
        log = runs[name].log.read_text()
        others = [other.run for other in runs.values() if other is not runs[name]]
        assert f"shares images and teacher with {', '.join(others)}" in log
    assert "training diverged" in runs["diverging"].log.read_text()
    assert "training diverged" not in runs["pkd"].log.read_text()


def test_a_result_says_who_shared(shared):
    runs = shared[0]
    assert read_object(runs["pkd"].result)["shared_with"] == [runs[name].run for name in ("baseline", "mse")]


def kill_at(patch: pytest.MonkeyPatch, step: int, victim: str) -> None:
    """End everything when a student has taken so many steps: those before it have taken one more."""
    take_step = Member.step

    def deadly(self, batch, waited):
        if victim in self.paths.run and self.steps_taken == step:
            raise Killed
        take_step(self, batch, waited)

    patch.setattr(Member, "step", deadly)


def starts(paths: RunPaths) -> list[int]:
    return [record["iter"] for record in read_jsonl(paths.metrics) if record["kind"] == "start"]


def ask_at(patch: pytest.MonkeyPatch, step: int, observer: str) -> None:
    """Ask the process to stop while a student takes a step: those before it have taken theirs."""
    take_step = Member.step

    def asked(self, batch, waited):
        if observer in self.paths.run and self.steps_taken == step:
            patch.setattr(STOP, "requested", True)
        take_step(self, batch, waited)

    patch.setattr(Member, "step", asked)


def test_a_group_that_was_stopped_and_killed_ends_as_if_nothing_had_happened(lay, reference):
    names = ("baseline", "pkd", "mse")
    runs = lay("interrupted", names)
    with pytest.MonkeyPatch.context() as patch:
        ask_at(patch, 1, "pkd")
        assert together(runs) == dict.fromkeys(names, 130)
    assert {read_object(paths.status)["state"] for paths in runs.values()} == {"interrupted"}
    with pytest.MonkeyPatch.context() as patch:
        kill_at(patch, 5, "mse")  # the others save at their sixth step, this one only has its fourth
        with pytest.raises(Killed):
            together(runs)
    gc.collect()  # as the end of a process lets go of its locks
    assert together(runs) == dict.fromkeys(names, 0)
    # Each from its own state: when the process was asked to stop, the last had not taken its second step.
    assert {name: starts(paths) for name, paths in runs.items()} == {
        "baseline": [0, 2, 6],
        "pkd": [0, 2, 6],
        "mse": [0, 1, 4],
    }
    for name, paths in reference.items():
        assert_same(runs[name], paths)


def pause_at(paths: RunPaths, step: int | None, measure: bool = True, **more) -> None:
    job = {key: value for key, value in read_object(paths.job).items() if key != "pause"}
    write_json(paths.job, job if step is None else {**job, "pause": {"at": step, "measure": measure, **more}})


def evaluated(paths: RunPaths, kind: str = "val") -> list[int]:
    return [record["iter"] for record in read_jsonl(paths.metrics) if record["kind"] == kind]


def test_students_that_pause_end_as_those_that_never_did(lay, reference):
    names = ("pkd", "mse")
    runs = lay("paused", names)
    for step, measure, seen in ((1, False, []), (3, True, [3])):  # 3 is within the first of two epochs
        for paths in runs.values():
            pause_at(paths, step, measure)
        assert together(runs) == dict.fromkeys(names, 0)
        for paths in runs.values():
            status = read_object(paths.status)
            assert (status["state"], status["paused"], status["iter"]) == ("interrupted", step, step)
            assert status["error"]["message"] == f"paused after {step} of {STEPS} steps"
            assert evaluated(paths) == seen
            assert not paths.result.exists()
    pause_at(runs["mse"], 4)  # at the end of an epoch, by itself
    with pytest.raises(Paused, match=r"\(4, 8\)"):
        alone(runs["mse"])
    for paths in runs.values():
        pause_at(paths, None)
    assert together(runs) == dict.fromkeys(names, 0)
    assert {name: starts(paths) for name, paths in runs.items()} == {"pkd": [0, 1, 3], "mse": [0, 1, 3, 4]}
    assert {name: evaluated(paths) for name, paths in runs.items()} == {"pkd": [3, STEPS], "mse": [3, 4, STEPS]}
    for name, paths in runs.items():
        (weights, records, result), (expected, wanted, whole) = content(paths), content(reference[name])
        assert all(torch.equal(tensor, expected[key]) for key, tensor in weights.items())
        assert [one for one in records if one["kind"] != "val" or one["iter"] == STEPS] == wanted
        assert result == whole
        assert read_object(paths.status)["state"] == "done"
        assert "paused" not in read_object(paths.status)


def test_trials_are_compared_by_the_mean_of_their_last_weights(lay, reference, monkeypatch):
    """Also where the process was stopped amid the steps that are averaged; and the training does not feel it."""
    taken, measured = {}, {}
    add, note = MeanWeightsHook.after_train_iter, PkdProgressHook.after_val_epoch

    def weights(runner):
        return {key: value.detach().clone() for key, value in detector(runner.model).state_dict().items()}

    def adding(self, runner, *rest, **more):
        add(self, runner, *rest, **more)
        taken.setdefault(runner.work_dir, {})[runner.iter + 1] = weights(runner)

    def noting(self, runner, metrics=None):
        measured.setdefault(runner.work_dir, {})[runner.measures, runner.iter] = weights(runner)
        note(self, runner, metrics)

    monkeypatch.setattr(MeanWeightsHook, "after_train_iter", adding)
    monkeypatch.setattr(PkdProgressHook, "after_val_epoch", noting)
    names = ("pkd", "mse")
    at_once, stopped = lay("averaged", names), lay("averaged-stopped", names)
    for step in (3, 6):
        for paths in (*at_once.values(), *stopped.values()):
            pause_at(paths, step, mean=2)
        assert together(at_once) == dict.fromkeys(names, 0)
        with pytest.MonkeyPatch.context() as patch:
            ask_at(patch, step - 2, "mse")  # the other one has taken its step, this one its last before it
            assert together(stopped) == dict.fromkeys(names, 130)
        assert together(stopped) == dict.fromkeys(names, 0)
    for name in names:
        paths, again = at_once[name], stopped[name]
        assert evaluated(paths, "rung") == evaluated(again, "rung") == [3, 6]
        for step in (3, 6):
            before, last = (taken[str(paths.root)][at] for at in (step - 1, step))
            for folder in (paths.root, again.root):
                seen = measured[str(folder)]["rung", step]
                for key, value in seen.items():
                    mean = (before[key] + last[key]) / 2 if value.is_floating_point() else last[key]
                    torch.testing.assert_close(value, mean, rtol=1e-6, atol=1e-7, msg=lambda said, key=key: key + said)
            moved = measured[str(paths.root)]["rung", step]
            assert any(not torch.equal(moved[key], last[key]) for key in moved)
        pause_at(paths, None)
    assert together(at_once) == dict.fromkeys(names, 0)
    for name, paths in at_once.items():
        (weights_now, records, result), (expected, wanted, whole) = content(paths), content(reference[name])
        assert all(torch.equal(tensor, expected[key]) for key, tensor in weights_now.items())
        assert [one for one in records if one["kind"] != "rung"] == wanted
        assert result == whole


def test_one_student_is_cancelled_and_goes_on_later(lay, monkeypatch):
    runs = lay("cancelled", ("pkd", "mse"), max_iters=3)
    take_step = Member.step

    def cancelled(self, batch, waited):
        take_step(self, batch, waited)
        if "pkd" in self.paths.run and self.steps_taken == 2:
            self.paths.cancel.touch()

    monkeypatch.setattr(Member, "step", cancelled)
    assert together(runs) == {"pkd": 130, "mse": 0}
    assert {name: read_object(paths.status)["state"] for name, paths in runs.items()} == {
        "pkd": "interrupted",
        "mse": "done",
    }
    monkeypatch.undo()
    alone(runs["pkd"])
    assert not runs["pkd"].cancel.exists()
    assert starts(runs["pkd"]) == [0, 2]
    assert runs["pkd"].result.exists()


def test_a_run_that_cannot_join_is_refused(shared):
    runs, codes, _ = shared
    assert codes["stranger"] == 2
    error = read_object(runs["stranger"].status)["error"]["message"]
    assert error == f"it can't be trained together with {runs['baseline'].run}: another train_dataloader."


def test_those_for_whom_memory_lacks_follow_afterwards(lay, monkeypatch, capfd):
    monkeypatch.setattr(groups, "free_memory", lambda: 0)
    runs = lay("crowded", ("pkd", "mse"), max_iters=1)
    assert together(runs) == {"pkd": 0, "mse": 0}
    assert "1 student follows afterwards" in capfd.readouterr().out
    assert [read_object(paths.result)["shared_with"] for paths in runs.values()] == [[], []]


@pytest.mark.parametrize(
    ("limit", "free"), [(None, 8 << 20), ("max", 8 << 20), ("5000000", 4_100_000), ("99000000", 8 << 20)]
)
def test_free_memory_is_the_machines_or_the_containers(tmp_path, monkeypatch, limit, free):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal:  16384 kB\nMemFree: 10 kB\nMemAvailable:   8192 kB\n")
    if limit:
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text("1000000\n")
        (group / "memory.stat").write_text("anon 900000\nactive_file 0\ninactive_file 100000\n")
    assert isolation.free_memory(tmp_path) == free
    assert isolation.free_memory(tmp_path / "nowhere") == sys.maxsize


def test_a_student_that_writes_into_the_teachers_maps_spoils_nobody():
    shared_teacher, asked = groups.SharedTeacher(), []

    def look():
        asked.append(1)
        return {"fpn": [(torch.zeros(1), torch.ones(1))]}

    inputs = torch.zeros(2, 3, 8, 8)
    shared_teacher.begin()
    first = shared_teacher.features(inputs, look)
    first["fpn"][0][0].add_(1)
    assert shared_teacher.features(inputs, look)["fpn"][0][0].item() == 0
    assert shared_teacher.features(inputs, look)["fpn"][0][1].item() == 1
    assert len(asked) == 2


def test_a_run_that_somebody_is_at_keeps_its_status(lay):
    paths = lay("taken", ("baseline",))["baseline"]
    before = paths.status.read_bytes()
    fork = multiprocessing.get_context("fork")
    held = fork.Event()
    holder = fork.Process(target=hold, args=(paths, held))
    holder.start()
    try:
        assert held.wait(60)
        assert train_group([paths.root]) == {paths.run: 2}
    finally:
        holder.kill()
        holder.join()
    assert paths.status.read_bytes() == before
    assert "is running already" in paths.log.read_text()


def test_what_another_process_has_said_of_a_student_is_its_end(lay):
    """Where the processes of a group lose each other, the first speaks for those that can't."""
    member = Member(lay("told", ("baseline",))["baseline"])
    write_json(member.error_file, {"message": "image 7.jpg is missing.", "hint": "Put it there.", "code": 3})
    member.give_up(None)
    status = read_object(member.paths.status)
    assert (status["state"], status["error"]) == (
        "failed",
        {"message": "image 7.jpg is missing.", "hint": "Put it there.", "code": 3},
    )
    assert not member.error_file.exists()
