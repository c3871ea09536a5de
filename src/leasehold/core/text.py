"""What any text from a client must be before it may go to the database."""

TEXT_PATTERN = r"^[^\u0000]*$"
"""No NUL, which PostgreSQL cannot store. For `msgspec.Meta`, and understood by JSON Schema too."""
