"""Vault format 1: keys, names, records and bodies. Bytes and keys only; no paths, stores or HTTP."""
