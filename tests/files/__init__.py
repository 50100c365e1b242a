"""Tests of the file tree."""
