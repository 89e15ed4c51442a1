"""The only home of torch: what trains, evaluates and measures detectors, in processes that `pkdcli.launch` starts.

A room imports from the rows below its own, never upwards nor sideways:

    profile                               size, latency and memory of finished detectors
    bench                                 measures what the rest does
    export                                detectors as files for elsewhere, and whether these are the detectors
    predict                               detections in images of the user's
    analysis                              figures and checks of what was trained
    worker                                the process of a run or a group of runs: request, run, result
    register                              makes known what a run's config.py names
    train                                 loop, batches, optimizer, hooks, export
    distill                               teacher, levels, and what goes between them
    metrics   losses   speedups   sizes
    data      distributed   checkpoint   setup

The paths `pkdcli.engine.worker`, `pkdcli.engine.register` and `pkdcli.engine.losses` stand in files of old runs: they
stay.
"""
