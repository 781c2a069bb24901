"""Reading and writing elements at indices."""
