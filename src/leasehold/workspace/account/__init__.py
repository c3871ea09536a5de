"""`/v1/me`: what users see and change of themselves."""
