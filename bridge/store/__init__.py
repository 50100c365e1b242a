"""Object stores: where ciphertext is kept.

``api`` is the interface; every other module is a store, a part of one, or a wrapper around one.
"""
