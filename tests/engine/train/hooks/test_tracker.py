"""Trackers, for real on disk: they are told what metrics.jsonl holds, and change nothing."""

from __future__ import annotations

import json
import math

import pytest

from pkdcli.runs.store import read_json

# Packages of the extra `test`; CI installs it.
accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def records(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def expected(run):
    """(tag, step) -> value, from the run's own records."""
    found = {}
    for record in records(run):
        if record["kind"] in ("train", "val"):
            for key, value in record.items():
                if key not in ("kind", "epoch", "iter") and isinstance(value, (int, float)) and math.isfinite(value):
                    found[f"{record['kind']}/{key}", record["iter"]] = value
    return found


@pytest.fixture(scope="module")
def tracked(lab, tmp_path_factory):
    """The lab's distilled run again, elsewhere and with trackers."""
    runs = tmp_path_factory.mktemp("tracked")
    words = ("--loss", "pkd", "--data", lab.data, *lab.knobs, "--runs", runs, "--tracker", "tensorboard")
    try:
        import mlflow  # noqa: F401

        words += ("--tracker", "mlflow")
    except ImportError:
        pass
    answer = lab.pkd("train", *words)
    assert answer.code == 0, answer.err
    (run,) = runs.iterdir()
    return run


def test_a_tracker_changes_neither_name_nor_result(lab, tracked):
    before = lab.run("gfl101-fcos50__pkd")
    assert tracked.name == before.name
    assert read_json(tracked / "result.json")["metrics"] == read_json(before / "result.json")["metrics"]
    losses = [[r["loss"] for r in records(run) if r["kind"] == "train"] for run in (before, tracked)]
    assert losses[0] == losses[1]


def test_tensorboard_holds_the_records(tracked):
    events = accumulator.EventAccumulator(str(tracked / "trackers" / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    told = {(tag, e.step): e.value for tag in events.Tags()["scalars"] for e in events.Scalars(tag)}
    wanted = expected(tracked)
    assert {"train/loss", "val/mAP"} <= {tag for tag, _ in wanted}
    assert told == {key: pytest.approx(value, rel=1e-6) for key, value in wanted.items()}  # it keeps float32


def test_mlflow_holds_the_records(tracked, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.MlflowClient(f"file://{tracked / 'trackers' / 'mlflow'}")
    (run,) = client.search_runs([client.get_experiment_by_name("pkd").experiment_id])
    assert run.data.tags["mlflow.runName"] == tracked.name
    assert run.info.status == "FINISHED"
    assert (run.data.params["loss"], run.data.params["weight"]) == ("pkd", "10.0")
    wanted = expected(tracked)
    told = {(tag, m.step): m.value for tag, _ in wanted for m in client.get_metric_history(run.info.run_id, tag)}
    assert told == wanted


def test_nothing_is_written_beside_the_run(lab, tracked):
    assert {path.name for path in tracked.parent.iterdir()} == {tracked.name}
    assert not any((lab.runs.parent / "here" / name).exists() for name in ("mlruns", "mlflow.db", "wandb", "runs"))
    kinds = {path.name for path in (tracked / "trackers").iterdir()}
    assert kinds <= {"tensorboard", "mlflow"}
