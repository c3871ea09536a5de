"""Measurements, one command each: `just bench requests`. They print ratios of one run; `README.md` here says how."""
