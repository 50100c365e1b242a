"""State shared by workers: locks, leases, folder times, and tenants' rows. It can be rebuilt."""
