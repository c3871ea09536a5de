"""The second factor of a user: codes by time (TOTP, RFC 6238), and recovery codes for a lost device."""
