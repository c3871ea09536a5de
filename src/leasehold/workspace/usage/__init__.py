"""What the tenant has used, as the platform has counted it."""
