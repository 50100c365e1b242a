"""Measurements of the bridge beside its peers; see README.md. Never imported by the product."""
