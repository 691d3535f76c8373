"""Errors that several modules raise."""


class TrainingFailedError(Exception):
    """No node, or too few, did what was asked; the run has no result."""
