"""The machinery of operations: what a definition holds, and how a call finds its way."""
