"""Plain HTTP and no SQL: who asks, for which tenant, and in what form the answer goes out."""
