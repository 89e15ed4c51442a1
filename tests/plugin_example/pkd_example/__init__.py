"""A plug-in of pkdcli, as docs/plugins.md explains it."""
