"""What functions such as ``fully_shard`` remember of a module."""

__all__: list[str] = []


def _get_module_state(module):
    """What ``fully_shard`` remembers of a module; None if it did not see it."""
    return getattr(module, "_fsdp_policy", None)
