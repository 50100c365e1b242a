"""Logs and metrics: what the bridge says of itself. Never a secret, never a plaintext name."""
