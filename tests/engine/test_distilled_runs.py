"""What whole distilled runs leave behind: measurements of the levels, facts in the result, states to go on from."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from pkdcli.engine.checkpoint import load_state


def records(run, kind):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["kind"] == kind]


@pytest.mark.parametrize("loss", ["pkd", "mse"])
def test_levels_are_measured_in_every_step_of_a_short_run(lab, loss):
    measured, trained = (records(lab.run(f"gfl101-fcos50__{loss}"), kind) for kind in ("levels", "train"))
    assert [one["iter"] for one in measured] == [one["iter"] for one in trained] == list(range(1, 9))
    for one, losses in zip(measured, trained, strict=True):
        assert sum(one[f"level{i}.grad_share"] for i in range(4)) == pytest.approx(1.0)
        for i in range(4):
            assert one[f"level{i}.loss"] == pytest.approx(losses[f"distill.loss_{loss}_fpn{i}"], rel=1e-6)
            assert -1 <= one[f"level{i}.r"] <= 1
            assert one[f"level{i}.grad_norm"] > 0
            assert 10 / 64 <= one[f"level{i}.top10_share"] <= 1


def test_a_baseline_is_not_measured(lab):
    assert records(lab.run("fcos50__baseline"), "levels") == []


def test_the_result_says_what_was_compared(lab):
    result = json.loads((lab.run("gfl101-fcos50__pkd") / "result.json").read_text())
    assert result["levels_paired"] == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert (result["adapters"], result["loss_parameters"], result["inherited"]) == ({}, 0, [])
    assert isinstance(result["warnings"], list)


def test_a_run_killed_after_its_last_step_goes_on_with_what_it_learned(lab, tmp_path):
    done = lab.run("fcos50__baseline")
    killed = shutil.copytree(done, tmp_path / done.name)
    (killed / "result.json").unlink()
    (killed / "student.pth").unlink()
    answer = lab.pkd("train", "--loss", "none", "--data", lab.data, *lab.knobs, "--runs", tmp_path)
    assert answer.code == 0, answer.err
    before, after = load_state(done / "student.pth"), load_state(killed / "student.pth")
    assert before.keys() == after.keys()
    for key, value in before.items():
        assert torch.equal(value, after[key]), key
    metrics = [json.loads((run / "result.json").read_text())["metrics"] for run in (done, killed)]
    assert metrics[0] == metrics[1]
