"""torch._functorch: PyTorch's place for the interior of ``torch.func``."""

__all__: list[str] = []
