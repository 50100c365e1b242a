"""The commands as users run them: real processes, real files."""
