"""Modules whose activations are computed again in the backward pass."""

import enum
from functools import partial

from rushlight.nn.modules.module import Module
from rushlight.utils.checkpoint import checkpoint

__all__ = [
    "ActivationWrapper", "CheckpointImpl", "CheckpointWrapper", "OffloadWrapper",
    "apply_activation_checkpointing", "checkpoint_wrapper", "offload_wrapper",
]  # fmt: skip

_PREFIX = "_checkpoint_wrapped_module."


class CheckpointImpl(enum.Enum):
    """The two ways of ``torch.utils.checkpoint``."""

    REENTRANT = 1
    NO_REENTRANT = 2


class ActivationWrapper(Module):
    """A module around another, whose names the state does not show."""

    def __init__(self, mod):
        super().__init__()
        self._checkpoint_wrapped_module = mod
        self.register_state_dict_post_hook(_without_prefix)
        self.register_load_state_dict_pre_hook(_with_prefix)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._checkpoint_wrapped_module, name)

    def __getitem__(self, key):
        return self._checkpoint_wrapped_module[key]

    def named_parameters(self, *args, **kwargs):
        for name, param in super().named_parameters(*args, **kwargs):
            yield name.replace(_PREFIX, ""), param


def _without_prefix(module, state, prefix, local_metadata):
    for key in [k for k in state if k.startswith(prefix + _PREFIX)]:
        state[prefix + key.removeprefix(prefix + _PREFIX)] = state.pop(key)


def _with_prefix(module, state, prefix, *args):
    for key in [k for k in state if k.startswith(prefix)]:
        state[prefix + _PREFIX + key.removeprefix(prefix)] = state.pop(key)


class CheckpointWrapper(ActivationWrapper):
    """A module whose activations are forgotten, and computed again in the backward pass.

    Args:
        mod: The module.
        checkpoint_impl: A ``CheckpointImpl``.
        checkpoint_fn: A function instead of ``torch.utils.checkpoint.checkpoint``.
        checkpoint_fn_kwargs: Keyword arguments of that function.
    """

    def __init__(
        self, mod, checkpoint_impl=CheckpointImpl.NO_REENTRANT, checkpoint_fn=None,
        **checkpoint_fn_kwargs,
    ):  # fmt: skip
        super().__init__(mod)
        self.checkpoint_impl = checkpoint_impl
        if checkpoint_fn is None:
            reentrant = checkpoint_impl is CheckpointImpl.REENTRANT
            checkpoint_fn = partial(checkpoint, use_reentrant=reentrant)
        self.checkpoint_fn = partial(checkpoint_fn, **checkpoint_fn_kwargs)

    def forward(self, *args, **kwargs):
        return self.checkpoint_fn(self._checkpoint_wrapped_module, *args, **kwargs)


class OffloadWrapper(ActivationWrapper):
    """A module whose saved activations lie on the CPU, where rushlight's lie without it."""

    def forward(self, *args, **kwargs):
        return self._checkpoint_wrapped_module(*args, **kwargs)


def checkpoint_wrapper(
    module, checkpoint_impl=CheckpointImpl.NO_REENTRANT, checkpoint_fn=None, **checkpoint_fn_kwargs
):  # fmt: skip
    """Return a ``CheckpointWrapper`` of ``module``."""
    return CheckpointWrapper(module, checkpoint_impl, checkpoint_fn, **checkpoint_fn_kwargs)


def offload_wrapper(module):
    """Return an ``OffloadWrapper`` of ``module``."""
    return OffloadWrapper(module)


def apply_activation_checkpointing(
    model, checkpoint_wrapper_fn=checkpoint_wrapper, check_fn=lambda _: True, auto_wrap_policy=None
):  # fmt: skip
    """Put those modules inside of ``model`` for which ``check_fn`` is true into wrappers.

    Args:
        model: The model; its modules are replaced.
        checkpoint_wrapper_fn: A function of a module that returns its wrapper.
        check_fn: A function of a module.
        auto_wrap_policy: A policy of ``torch.distributed.fsdp.wrap`` instead of ``check_fn``.
    """
    from rushlight.distributed.fsdp.wrap import chosen, replace_modules

    if auto_wrap_policy is not None:
        replace_modules(model, chosen(model, auto_wrap_policy), checkpoint_wrapper_fn)
        return
    found: dict = {m: {} for m in model.modules() if m is not model and check_fn(m)}
    replace_modules(model, found, checkpoint_wrapper_fn)
