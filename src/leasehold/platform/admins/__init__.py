"""Platform admins and the tokens they carry."""
