"""Composition: builds the object graph once, from settings, and holds the process's life."""
