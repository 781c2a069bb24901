"""PyTorch's inner modules of nested tensors, by the names that libraries import."""
