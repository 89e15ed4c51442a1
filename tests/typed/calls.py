"""What a type checker must say of calls: `mypy` over this file and the stub is a step of CI. It is never run."""

import pandas as pd

import pkdcli

run: pkdcli.Run = pkdcli.train("gfl101-fcos50", loss="mse", weight=50, scale="tiny")
reached: float | None = run.metrics["mAP"]
plan: pkdcli.Experiment = pkdcli.train("gfl101-fcos50", dry_run=True)
runs: pkdcli.RunList = pkdcli.sweep(losses=["pkd", "mse"], weights=[10, 30], seeds="0,1")
frame: pd.DataFrame = runs.frame()
pkdcli.report(group_by=["pair"], format="html", output="report.html")
pkdcli.cancel("one", run, runs="elsewhere")
pkdcli.load_run(run.path)
pkdcli.evaluate(run, split="test")

pkdcli.train(wieght=5)  # type: ignore[call-overload]
pkdcli.train(epochs="3")  # type: ignore[call-overload]
pkdcli.sweep(weights=object())  # type: ignore[call-overload]
pkdcli.cancel(5)  # type: ignore[arg-type]
pkdcli.load_run()  # type: ignore[call-arg]
