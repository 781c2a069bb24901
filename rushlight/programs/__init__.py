"""Programs written for PyTorch, run on rushlight without a changed line."""
