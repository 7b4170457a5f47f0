"""The gate in front of frameworks. Each module is the only importer of its framework."""
