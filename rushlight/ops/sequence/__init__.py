"""Recurrent layers and attention."""
