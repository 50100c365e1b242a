"""Tests, mirroring the packages of ``bridge``, plus the real programs in ``clients``."""
