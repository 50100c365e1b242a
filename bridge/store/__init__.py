"""Object stores: where ciphertext is kept. ``api`` is the interface, each module a store or wrapper."""
