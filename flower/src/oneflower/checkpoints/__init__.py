"""Checkpoints of a run: files and manifests, what belongs into them, and going on from one."""
