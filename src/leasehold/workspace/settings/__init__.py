"""What a tenant decides for itself."""
