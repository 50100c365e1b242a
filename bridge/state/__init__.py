"""State shared by workers: locks, leases, directory generations and times. It can be rebuilt."""
