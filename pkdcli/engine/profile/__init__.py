"""What `pkd profile` measures of finished detectors: size, latency, memory."""
