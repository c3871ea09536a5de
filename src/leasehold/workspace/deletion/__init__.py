"""The tenant's request to be deleted. It deletes nothing: an admin of the platform decides."""
