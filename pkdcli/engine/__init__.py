"""All that needs torch. Started as a process (`python -m pkdcli.engine.worker RUN_DIR`), imported by no other room."""
