"""The tenants as the platform's admins see them. Their table is the kernel's registry."""
