"""Vault format 1: keys, names, records and bodies. No paths, stores or HTTP."""
