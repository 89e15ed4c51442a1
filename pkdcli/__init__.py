"""pkdcli: knowledge-distillation experiments on object detectors.

Data flows one way, and each folder is one station on the way::

    cli -> recipe -> config -> launch -> engine -> runs -> report
"""

__version__ = "0.1.0"
