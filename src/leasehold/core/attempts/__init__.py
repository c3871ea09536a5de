"""Failed attempts to prove something: how long who fails must wait, and how that is counted in either plane."""
