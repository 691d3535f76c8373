"""Strategies by their names in the run configuration: see ``factory``."""
