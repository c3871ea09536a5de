"""The fleet as admins watch it: where the schemas stand, and what the runs have done. Runs are started elsewhere."""
