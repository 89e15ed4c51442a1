"""Commands about data sets: `pkd data check`, `pkd data import`."""
