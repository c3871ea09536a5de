"""The plans that tenants are on. Their table is the kernel's: every process knows by it what each tenant may have."""
