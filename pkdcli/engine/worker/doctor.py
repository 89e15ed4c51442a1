"""What torch, the OpenMMLab stack and plug-ins see here, as JSON: `python -m pkdcli.engine.worker.doctor`."""

from __future__ import annotations

from pkdcli.findings import GIB, Finding


def findings() -> list[Finding]:
    """Devices, processes, and whether the stack works."""
    import torch

    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found.append(Finding(f"GPU {index}", f"{properties.name}, {properties.total_memory / GIB:.0f} GiB", True))
    if not found:
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        found.append(Finding("GPU", f"none; torch is {built}", None, "Scale tiny runs on the CPU in minutes."))
    found.append(Finding("CPU threads", str(torch.get_num_threads()), True))
    try:
        from pkdcli.compat import activate

        activate()  # before anything of mmcv is imported
        from mmcv import _ext

        import pkdcli.engine.register  # noqa: F401

        # Only a compiled one is a file.
        kept = "mmcv's own, compiled" if getattr(_ext, "__file__", None) else "pkdcli's, over torchvision"
        found.append(Finding("mmcv operators", kept, True))
        found.append(Finding("mmdet and mmrazor", "import and register", True))
    except Exception as error:
        found.append(
            Finding("mmdet and mmrazor", f"{type(error).__name__}: {error}", False, "pip install pkdcli again.")
        )
    return found


if __name__ == "__main__":
    for finding in findings():
        print(finding.line(), flush=True)
    from pkdcli.engine.worker import plugins

    for finding in plugins.findings():  # one by one: whatever the next one does, this one is said
        print(finding.line(), flush=True)
