"""Checkpoints of a part of a model."""
