"""What any backend needs and no domain owns: database bases, security primitives, errors, ids, clock, log."""
