"""The process's life: listeners, TLS, health, and the way to stop."""
