"""Reductions, scans, sorting and searching along dims."""
