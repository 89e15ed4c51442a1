"""pkdcli: knowledge-distillation experiments on object detectors, from Python as from the command line.

    import pkdcli

    run = pkdcli.train("gfl101-fcos50", scale="tiny")
    pkdcli.sweep(losses="mse", weights=[10, 30], scale="tiny")
    pkdcli.report()  # a pandas DataFrame

Every verb of `pkd` is a function here, whose keywords are the options' names; docs/python.md shows them all. Nothing is
imported before it is used, so `import pkdcli` takes milliseconds; torch never is, but for `Run.load_model()`.
"""

from __future__ import annotations

__version__ = "0.1.0"

_VERBS = (
    *("train", "sweep", "tune", "reproduce", "evaluate", "report", "compare", "diagnose", "verify", "visualize"),
    *("benchmark", "predict", "export", "profile", "data_check", "data_import"),
    *("list_runs", "load_run", "resume", "cancel", "doctor"),
    *("archive", "unpack", "remove"),
)
_CLASSES = {
    "Bars": "pkdcli.experiment.bars",
    "Experiment": "pkdcli.experiment.execute",
    "PkdError": "pkdcli.errors",
    "Run": "pkdcli.runs.run",
    "RunList": "pkdcli.runs.run_list",
    "Watcher": "pkdcli.launch.outcome",
}
__all__ = [*_VERBS, *_CLASSES, "__version__"]


def __getattr__(name: str) -> object:
    if name in _VERBS:
        from pkdcli.api.verbs import function

        found = function(name)
    elif name in _CLASSES:
        from importlib import import_module

        found = getattr(import_module(_CLASSES[name]), name)
    else:
        raise AttributeError(f"module 'pkdcli' has no attribute {name!r}")
    return globals().setdefault(name, found)  # the next time it is there; of threads that look at once the first wins


def __dir__() -> list[str]:
    return sorted(__all__)
