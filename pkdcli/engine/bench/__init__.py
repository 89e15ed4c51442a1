"""What `pkd bench` measures, section by section, in a process of its own: `python -m pkdcli.engine.bench.worker`."""
