"""The dicts in which a module keeps its parameters, buffers, submodules and hooks."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from rushlight.tensor import Tensor

__all__ = ["Registry"]

_HOOKS = (
    "_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)  # fmt: skip


class Registry:
    """The base of the classes that Module is made of: the dicts of members and of hooks."""

    training: bool
    _parameters: dict[str, Any]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Any]
    _non_persistent_buffers_set: set[str]
    _is_full_backward_hook: bool | None

    def _make_registries(self):
        own = self.__dict__
        own["training"] = True
        own["_parameters"] = {}
        own["_buffers"] = {}
        own["_modules"] = {}
        own["_non_persistent_buffers_set"] = set()
        own["_is_full_backward_hook"] = None
        for name in _HOOKS:
            own[name] = OrderedDict()

    def __getstate__(self):
        state = self.__dict__.copy()
        state.pop("_compiled_call_impl", None)
        return state

    def __setstate__(self, state):
        own = self.__dict__
        own.update(state)
        # The state may be saved by an older version, which did not have these attributes.
        own.setdefault("_non_persistent_buffers_set", set())
        own.setdefault("_is_full_backward_hook", None)
        for name in _HOOKS:
            if name not in own:
                own[name] = OrderedDict()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
