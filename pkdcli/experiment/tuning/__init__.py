"""The search of `pkd tune`: what is tried, how far each trial is trained, and who goes on."""
