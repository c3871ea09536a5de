"""Measurements, one command: `just bench`. They print ratios of what was measured in one run, and test nothing."""
