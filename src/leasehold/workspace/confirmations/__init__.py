"""Secrets that go by mail and work once: to set a forgotten password, and to confirm an e-mail address."""
