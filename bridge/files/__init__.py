"""A file tree on an object store: paths, entries, directories. No HTTP and no tenants' names."""
