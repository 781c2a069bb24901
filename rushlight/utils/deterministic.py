"""torch.utils.deterministic: a switch that programs set, without effect.

``fill_uninitialized_memory`` tells PyTorch to fill new memory under
``use_deterministic_algorithms``. rushlight's operations never read elements that nobody wrote.
"""

__all__ = ["fill_uninitialized_memory"]

fill_uninitialized_memory = True
