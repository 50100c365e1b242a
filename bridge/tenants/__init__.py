"""Who may come in, which vault they get, and with which keys. Knows nothing of HTTP."""
