"""In each schema: what its tenant keeps."""
