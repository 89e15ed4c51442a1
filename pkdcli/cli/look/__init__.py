"""Commands that look at runs and at this machine."""
