"""Faults that are done to an installation under load, and what is measured of them. One command: `just faults`."""
