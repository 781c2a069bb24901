"""Saving a module's state as a dict of tensors, and loading it from such a dict."""

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Mapping

from rushlight import __future__ as conversions
from rushlight.autograd import mode
from rushlight.autograd.mode import no_grad
from rushlight.meta import is_meta
from rushlight.nn.modules.hooks import _WrappedHook, add_hook
from rushlight.nn.modules.registry import Registry
from rushlight.nn.parameter import Parameter
from rushlight.nn.uninitialized import is_lazy
from rushlight.ops.tensor.swap import swap_tensors
from rushlight.tensor import Tensor

__all__ = ["State"]

_EXTRA_STATE_KEY_SUFFIX = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    __slots__ = ()

    def __repr__(self):
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


class State(Registry):
    """The part of Module that saves and loads its state."""

    _version = 1

    # Saving -------------------------------------------------------------------------------

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """Return the parameters and persistent buffers of this module and its submodules, by path.

        Args:
            destination: Dict that receives them. Default: a new OrderedDict.
            prefix: Text to put in front of each path. Default: ``""``.
            keep_vars: Give the tensors themselves. Default: False, detached tensors with the same
                memory.

        Returns:
            OrderedDict of paths and tensors.

        >>> import rushlight as torch
        >>> list(torch.nn.Linear(2, 3).state_dict())
        ['weight', 'bias']
        """
        if args:
            warnings.warn(
                "state_dict: positional arguments are deprecated; name them "
                "(destination=, prefix=, keep_vars=)",
                FutureWarning,
                stacklevel=2,
            )
            given = [destination, prefix, keep_vars]
            given[: len(args)] = args
            destination, prefix, keep_vars = given
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local_metadata = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local_metadata
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for hook in self._state_dict_hooks.values():
            found = hook(self, destination, prefix, local_metadata)
            if found is None:
                continue
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook: it must change the dict in place")
            destination = found
        return destination

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        """Put this module's own state into ``destination``. A subclass may extend this method."""
        tensors = {**self._parameters, **self._persistent_buffers()}
        for name, tensor in tensors.items():
            if tensor is not None:
                destination[prefix + name] = tensor if keep_vars else tensor.detach()
        if type(self).get_extra_state is not State.get_extra_state:
            destination[prefix + _EXTRA_STATE_KEY_SUFFIX] = self.get_extra_state()

    def _persistent_buffers(self):
        transient = self._non_persistent_buffers_set
        return {k: v for k, v in self._buffers.items() if k not in transient}

    def get_extra_state(self):
        """Return more state for the module's ``state_dict``.

        A subclass may define this method, together with ``set_extra_state``.

        Returns:
            Any object that can be pickled.

        Raises:
            RuntimeError: The subclass does not define the method.

        >>> import rushlight as torch
        >>> class Counter(torch.nn.Module):
        ...     count = 3
        ...     def get_extra_state(self):
        ...         return self.count
        >>> Counter().state_dict()
        OrderedDict([('_extra_state', 3)])
        """
        raise RuntimeError(f"{type(self).__name__} defines no get_extra_state")

    def set_extra_state(self, state):
        """Restore the state that ``get_extra_state`` returned.

        A subclass may define this method. ``load_state_dict`` calls it.

        Args:
            state: The object from the state dict.

        Raises:
            RuntimeError: The subclass does not define the method.

        >>> import rushlight as torch
        >>> class Counter(torch.nn.Module):
        ...     def set_extra_state(self, state):
        ...         self.count = state
        >>> counter = Counter()
        >>> counter.load_state_dict({"_extra_state": 3})
        <All keys matched successfully>
        >>> counter.count
        3
        """
        raise RuntimeError(f"{type(self).__name__} defines no set_extra_state")

    # Loading ------------------------------------------------------------------------------

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copy the tensors of a state dict into this module and its submodules.

        Args:
            state_dict: Mapping of paths to tensors, as ``state_dict()`` returns it.
            strict: Refuse a state dict with missing or unexpected keys. Default: True.
            assign: Let the given tensors replace the module's own tensors. Default: False, they are
                copied.

        Returns:
            Named tuple of two lists of paths: ``missing_keys`` and ``unexpected_keys``.

        Raises:
            RuntimeError: Keys are missing or unexpected (if ``strict``), or shapes disagree.
            TypeError: ``state_dict`` is no mapping.

        >>> import rushlight as torch
        >>> layer = torch.nn.Linear(2, 3)
        >>> layer.load_state_dict(torch.nn.Linear(2, 3).state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dict, but got {type(state_dict)}")
        metadata = getattr(state_dict, "_metadata", None)
        state_dict = OrderedDict(state_dict)
        if metadata is not None:
            state_dict._metadata = metadata
        keys = _IncompatibleKeys([], [])
        errors: list[str] = []
        _load(self, state_dict, "", metadata or {}, assign, keys, errors)
        if strict:
            listed = [("Missing", keys.missing_keys), ("Unexpected", keys.unexpected_keys)]
            errors[:0] = [f"{kind} key(s) in state_dict: {_quoted(k)}. " for kind, k in listed if k]
        if errors:
            lines = "\n\t".join(errors)
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{lines}"
            )
        return keys

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ):
        """Load this module's own state from ``state_dict``. A subclass may extend this method."""
        for hook in self._load_state_dict_pre_hooks.values():
            hook(
                state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
                error_msgs,
            )  # fmt: skip
        assign = local_metadata.get("assign_to_params_buffers", False)
        own = {**self._parameters, **self._persistent_buffers()}
        own = {name: tensor for name, tensor in own.items() if tensor is not None}
        for name, tensor in own.items():
            key = prefix + name
            if key in state_dict:
                error = _load_tensor(self, name, tensor, key, state_dict[key], assign)
                if error:
                    error_msgs.append(error)
            elif strict:
                missing_keys.append(key)
        extra = prefix + _EXTRA_STATE_KEY_SUFFIX
        wants_extra = type(self).set_extra_state is not State.set_extra_state
        if wants_extra and extra in state_dict:
            self.set_extra_state(state_dict[extra])
        elif wants_extra and strict:
            missing_keys.append(extra)
        if strict:
            known = own.keys() | ({_EXTRA_STATE_KEY_SUFFIX} if wants_extra else set())
            unexpected_keys.extend(_unexpected(state_dict, prefix, known, self._modules))

    # Hooks --------------------------------------------------------------------------------

    def register_state_dict_pre_hook(self, hook):
        """Call ``hook(module, prefix, keep_vars)`` before this module's state is saved.

        >>> import rushlight as torch
        >>> layer = torch.nn.Linear(2, 3)
        >>> handle = layer.register_state_dict_pre_hook(lambda module, *_: print(module))
        >>> state = layer.state_dict()
        Linear(in_features=2, out_features=3, bias=True)
        """
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook):
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after the state is saved.

        Args:
            hook: The function. It may change ``state_dict`` in place, and must return None.

        >>> import rushlight as torch
        >>> layer = torch.nn.Linear(2, 3)
        >>> def hook(module, state_dict, prefix, local_metadata):
        ...     del state_dict[prefix + "bias"]
        >>> handle = layer.register_state_dict_post_hook(hook)
        >>> list(layer.state_dict())
        ['weight']
        """
        hook._from_public_api = True
        return add_hook(self._state_dict_hooks, hook)

    def _register_state_dict_hook(self, hook):
        # This is the older kind of hook: its return value replaces the dict.
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "_register_state_dict_hook: this function is registered by "
                "register_state_dict_post_hook already"
            )
        return add_hook(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook):
        """Call a hook before this module's state is loaded.

        The call is ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)``.

        Args:
            hook: The function. It may change ``state_dict`` and the lists in place.

        >>> import rushlight as torch
        >>> layer = torch.nn.Linear(2, 3, bias=False)
        >>> def hook(module, state_dict, *others):
        ...     state_dict["weight"] = state_dict.pop("w")
        >>> handle = layer.register_load_state_dict_pre_hook(hook)
        >>> layer.load_state_dict({"w": torch.ones(3, 2)})
        <All keys matched successfully>
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        bound = _WrappedHook(hook, self) if with_module else hook
        return add_hook(self._load_state_dict_pre_hooks, bound)

    def register_load_state_dict_post_hook(self, hook):
        """Call ``hook(module, incompatible_keys)`` after this module's state is loaded.

        Args:
            hook: The function. It may change the lists of ``incompatible_keys`` in place, and must
                return None.

        >>> import rushlight as torch
        >>> layer = torch.nn.Linear(2, 3)
        >>> def hook(module, incompatible_keys):
        ...     incompatible_keys.missing_keys.clear()
        >>> handle = layer.register_load_state_dict_post_hook(hook)
        >>> layer.load_state_dict({})
        <All keys matched successfully>
        """
        return add_hook(self._load_state_dict_post_hooks, hook)


def _quoted(keys):
    return ", ".join(f'"{key}"' for key in keys)


def _load(module, state_dict, prefix, metadata, assign, keys, errors):
    """Load ``module`` and its submodules from the entries whose keys start with ``prefix``."""
    local_metadata = metadata.get(prefix[:-1], {})
    if assign:
        local_metadata = {**local_metadata, "assign_to_params_buffers": True}
    module._load_from_state_dict(
        state_dict, prefix, local_metadata, True, keys.missing_keys, keys.unexpected_keys, errors
    )
    for name, child in module._modules.items():
        if child is not None:
            below = f"{prefix}{name}."
            part = {k: v for k, v in state_dict.items() if k.startswith(below)}
            _load(child, part, below, metadata, assign, keys, errors)
    for hook in module._load_state_dict_post_hooks.values():
        if hook(module, keys) is not None:
            raise AssertionError(
                "load_state_dict post-hook: it must return None and edit the keys in place"
            )


def _load_tensor(module, name, tensor, key, found, assign):
    """Load one entry of the state dict; returns the text of an error, or None."""
    if not isinstance(found, Tensor) and not hasattr(found, "__torch_function__"):
        return f'While copying the parameter named "{key}": expected a Tensor, got {type(found)}'
    if is_lazy(tensor) and is_lazy(found):
        return None
    if tensor.shape == () and found.shape == (1,):  # old checkpoints have no 0-dim tensors
        found = found[0]
    if found.shape != tensor.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {found.shape} from checkpoint, "
            f"the shape in current model is {tensor.shape}."
        )
    try:
        with no_grad():
            if conversions.get_swap_module_params_on_conversion():
                _swap(tensor, found, assign)
            elif assign:
                setattr(module, name, _like(tensor, found))
            else:
                if mode.intercept and is_meta(tensor) and not is_meta(found):
                    warnings.warn(
                        f"for {key}: copying from a non-meta parameter in the checkpoint to a meta "
                        "parameter in the current model, which is a no-op. (Did you mean to pass "
                        "`assign=True` to assign items in the state dictionary to their "
                        "corresponding key in the module instead of copying them in place?)",
                        stacklevel=2,
                    )
                tensor.copy_(found)
    except Exception as error:
        return (
            f'While copying the parameter named "{key}" of shape {tensor.shape}, '
            f"{type(error).__name__}: {error}"
        )
    return None


def _swap(tensor, found, assign):
    """Let ``tensor`` change places with what it makes of ``found``, an entry of the state dict."""
    made = tensor.module_load(found, assign=assign)
    if made is found or made is tensor:
        raise RuntimeError(
            "module_load returned one of self or other, please .detach() the result if returning "
            "one of the inputs in module_load"
        )
    swap_tensors(tensor, _like(tensor, made))


def _like(tensor, found):
    """Make ``found`` a Parameter if ``tensor`` is a Parameter."""
    if not isinstance(tensor, Parameter):
        return found
    if isinstance(found, Parameter):
        return found.requires_grad_(tensor.requires_grad)
    return Parameter(found, requires_grad=tensor.requires_grad)


def _unexpected(state_dict, prefix, known, modules):
    """Yield the keys under ``prefix`` that belong to no known entry and to no submodule."""
    for key in state_dict:
        if key.startswith(prefix):
            name, dot, _ = key[len(prefix) :].partition(".")
            if name not in (modules if dot else known):
                yield key
