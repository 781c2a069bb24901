"""The machinery of operations: their definitions, and the path of a call."""
