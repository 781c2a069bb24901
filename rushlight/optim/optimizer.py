"""Optimizer: parameter groups, state, state dicts and hooks."""

import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from copy import deepcopy

from rushlight.autograd import mode
from rushlight.dtype import float32
from rushlight.optim.hooks import (
    add_hook,
    hooked,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from rushlight.tensor import Tensor
from rushlight.utils import _foreach_utils

__all__ = [
    "Optimizer", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook",
    "required",
]  # fmt: skip


class _Required:
    """The default of an option for which each parameter group must give its own value."""

    def __repr__(self):
        return "<required parameter>"


required = _Required()


class _Hooks:
    """The descriptor of an optimizer's hooks: it makes their dict when an object has none yet."""

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, optimizer, owner=None):
        if optimizer is None:
            return self
        return optimizer.__dict__.setdefault(self._name, OrderedDict())


class Optimizer:
    """The base class of all optimizers: groups of parameters with options, and their state.

    Args:
        params: Tensors, ``(name, tensor)`` pairs, or dicts. A dict is a group: its ``"params"`` are
            tensors or pairs, and its other entries are the group's options.
        defaults: The options of groups that do not give their own.

    Raises:
        TypeError: ``params`` is a tensor, or holds an object that is not a tensor.
        ValueError: There are no parameters, a parameter was computed from other tensors, a
            parameter is in two groups, or only some parameters have names.

    >>> import rushlight as torch
    >>> class Descent(torch.optim.Optimizer):
    ...     @torch.no_grad()
    ...     def step(self):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p -= group["lr"] * p.grad
    >>> w = torch.tensor([2.0], requires_grad=True)
    >>> optimizer = Descent([w], {"lr": 0.25})
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([1.], requires_grad=True)
    """

    _stepping = False  # True inside step(), so that hooks run once
    _opt_called = False  # True after a step(); schedulers check it

    # Other libraries' optimizers that step on lists of tensors call it.
    _group_tensors_by_device_and_dtype = staticmethod(
        _foreach_utils._group_tensors_by_device_and_dtype
    )

    # A subclass that does not call this class's __init__ gets its hooks at their first use.
    _optimizer_step_pre_hooks = _Hooks()
    _optimizer_step_post_hooks = _Hooks()
    _optimizer_state_dict_pre_hooks = _Hooks()
    _optimizer_state_dict_post_hooks = _Hooks()
    _optimizer_load_state_dict_pre_hooks = _Hooks()
    _optimizer_load_state_dict_post_hooks = _Hooks()

    def __init__(self, params, defaults):
        self.defaults = defaults
        self._prepare()
        if isinstance(params, Tensor):
            raise TypeError(
                f"{type(self).__name__}: params argument given to the optimizer should be an "
                f"iterable of Tensors or dicts, but got {params.type()} of shape "
                f"{tuple(params.shape)}; put it into a list"
            )
        self.state: defaultdict = defaultdict(dict)
        self.param_groups: list[dict] = []
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__}: optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _prepare(self):
        """Set the attributes that are not pickled: the hooks, and ``step`` with hooks around it."""
        for kind in ("step", "state_dict", "load_state_dict"):
            for when in ("pre", "post"):
                self.__dict__.setdefault(f"_optimizer_{kind}_{when}_hooks", OrderedDict())
        cls = type(self)
        if not hasattr(cls.step, "hooked"):
            cls.step = hooked(cls.step)  # type: ignore[method-assign]

    _patch_step_function = _prepare  # wrappers of optimizers call it by PyTorch's name

    def __getstate__(self):
        return {
            "defaults": self.defaults,
            "state": self.state,
            "param_groups": self.param_groups,
        }

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._prepare()
        self.defaults.setdefault("differentiable", False)

    def __repr__(self):
        groups = []
        for i, group in enumerate(self.param_groups):
            shown = [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
            groups.append(f"\nParameter Group {i}\n{''.join(shown)}")
        return f"{type(self).__name__} ({''.join(groups)})"

    def step(self, closure=None):
        """Update the parameters from their gradients; each optimizer defines this method.

        Args:
            closure: A function that computes the loss and its gradients anew, and returns the loss.
                Default: None.

        Returns:
            The closure's loss, or None without a closure.

        >>> import rushlight as torch
        >>> w = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = torch.optim.SGD([w], lr=0.5)
        >>> def closure():
        ...     optimizer.zero_grad()
        ...     loss = (3 * w).sum()
        ...     loss.backward()
        ...     return loss.detach()
        >>> optimizer.step(closure)
        tensor(3.)
        >>> w.detach()
        tensor([-0.5000])
        """
        raise NotImplementedError

    def zero_grad(self, set_to_none=True):
        """Set the gradients of all parameters to None, or to 0.

        Args:
            set_to_none: Set them to None; False: fill them with 0 in place. Default: True.

        >>> import rushlight as torch
        >>> w = torch.ones(2, requires_grad=True)
        >>> w.sum().backward()
        >>> torch.optim.SGD([w]).zero_grad()
        >>> w.grad is None
        True
        """
        for group in self.param_groups:
            if set_to_none and not mode.intercept:
                for p in group["params"]:
                    p._grad = None
                continue
            for p in group["params"]:
                if set_to_none:
                    p.grad = None  # the property's setter is recorded by a trace
                elif p.grad is not None:
                    if p.grad.grad_fn is not None:
                        p.grad.detach_()
                    else:
                        p.grad.requires_grad_(False)
                    p.grad.zero_()

    # Parameter groups --------------------------------------------------------------------

    def add_param_group(self, param_group):
        """Add a group of parameters with options of its own.

        Args:
            param_group: Dict ``{"params": tensors, option: value, ...}``. Options that it lacks get
                the optimizer's defaults.

        Raises:
            TypeError: ``param_group`` is not a dict, or holds an object that is not a tensor.
            ValueError: A parameter is in another group, or was computed from other tensors.

        >>> import rushlight as torch
        >>> optimizer = torch.optim.SGD([torch.ones(2)], lr=0.1)
        >>> optimizer.add_param_group({"params": torch.ones(3), "lr": 0.01})
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.1, 0.01]
        """
        owner = type(self).__name__
        if not isinstance(param_group, dict):
            raise TypeError(f"{owner}: param_group must be a dict, but got {type(param_group)}")
        _name_params(owner, param_group)
        for p in param_group["params"]:
            self._check_param(p)
        # A DTensor is updated through its local tensor, which has the gradient.
        param_group["params"] = [getattr(p, "_local_tensor", p) for p in param_group["params"]]
        for name, default in self.defaults.items():
            if default is required and name not in param_group:
                raise ValueError(
                    f"{owner}: parameter group {len(self.param_groups)} didn't specify a value of "
                    f"required optimization parameter {name}"
                )
            param_group.setdefault(name, default)
        self._check_apart(param_group)
        self.param_groups.append(param_group)

    def _check_param(self, p):
        owner = type(self).__name__
        if not isinstance(p, Tensor):
            raise TypeError(
                f"{owner}: optimizer can only optimize Tensors, but one of the params is "
                f"{type(p).__module__}.{type(p).__name__}"
            )
        if not (self.defaults.get("differentiable") or p.is_leaf or p.retains_grad):
            raise ValueError(
                f"{owner}: can't optimize a non-leaf Tensor: a {tuple(p.shape)} made by "
                f"{p.grad_fn.name()}; optimize what it was computed from, or a detach() of it"
            )

    def _check_apart(self, new):
        """Raise if the group ``new`` shares parameters with another group.

        Also raise if only one of the groups has names for its parameters.
        """
        owner = type(self).__name__
        if len(set(new["params"])) < len(new["params"]):
            warnings.warn(
                f"{owner}: optimizer contains a parameter group with duplicate parameters; each "
                "step updates them more than once",
                stacklevel=4,
            )
        for group in self.param_groups:
            if ("param_names" in new) != ("param_names" in group):
                raise ValueError(
                    f"{owner}: all optimizer param groups should be with/without names. cannot "
                    f"add param group {'with' if 'param_names' in new else 'without'} names to the "
                    "optimizer"
                )
        taken = {p for group in self.param_groups for p in group["params"]}
        for i, p in enumerate(new["params"]):
            if p in taken:
                raise ValueError(
                    f"{owner}: some parameters appear in more than one parameter group: parameter "
                    f"{i} {tuple(p.shape)} of group {len(self.param_groups)} is in an earlier one"
                )

    # State dicts -------------------------------------------------------------------------

    def state_dict(self):
        """Return the state by parameter index, and the groups' options.

        The tensors are not copied: they are those of the optimizer's state.

        Returns:
            Dict with ``"state"`` (the state of each parameter, by its index) and ``"param_groups"``
            (a list of dicts of options, with the indices of the parameters).

        >>> import rushlight as torch
        >>> torch.optim.SGD([torch.ones(2)], lr=0.1).state_dict()["param_groups"][0]["params"]
        [0]
        """
        for hook in self._optimizer_state_dict_pre_hooks.values():
            hook(self)
        index: dict[int, int] = {}
        groups, start = [], 0
        for group in self.param_groups:
            # As in PyTorch, the last of its places in a group counts, in the first of its groups.
            index = {**{id(p): i for i, p in enumerate(group["params"], start)}, **index}
            start += len(group["params"])
            packed = {key: value for key, value in group.items() if key != "params"}
            packed["params"] = [index[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {index[id(k)] if isinstance(k, Tensor) else k: v for k, v in self.state.items()}
        found = {"state": state, "param_groups": groups}
        for hook in self._optimizer_state_dict_post_hooks.values():
            found = _given(hook(self, found), found)
        return found

    def load_state_dict(self, state_dict):
        """Load a copy of a state dict.

        Args:
            state_dict: The dict that ``state_dict()`` returned. The parameters must be in the same
                order as when it was saved.

        Raises:
            ValueError: The number of groups differs, or a group has another number of parameters.

        >>> import rushlight as torch
        >>> saved = torch.optim.SGD([torch.ones(2)], lr=0.5).state_dict()
        >>> optimizer = torch.optim.SGD([torch.ones(2)], lr=0.1)
        >>> optimizer.load_state_dict(saved)
        >>> optimizer.param_groups[0]["lr"]
        0.5
        """
        state_dict = state_dict.copy()
        for hook in self._optimizer_load_state_dict_pre_hooks.values():
            state_dict = _given(hook(self, state_dict), state_dict)
        saved = state_dict["param_groups"]
        self._check_same_layout(saved)
        owner = {
            k: (p, new)
            for group, new in zip(self.param_groups, saved, strict=True)
            for p, k in zip(group["params"], new["params"], strict=True)
        }
        state: defaultdict = defaultdict(dict)
        for k, value in state_dict["state"].items():
            if k in owner:
                state[owner[k][0]] = _fitted(value, *owner[k])
            else:
                state[k] = value
        groups = deepcopy(saved)
        for group, new in zip(self.param_groups, groups, strict=True):
            new["params"] = group["params"]
            if "param_names" in group:
                new.setdefault("param_names", group["param_names"])
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in self._optimizer_load_state_dict_post_hooks.values():
            hook(self)

    def _check_same_layout(self, saved):
        owner = f"{type(self).__name__}.load_state_dict"
        ours = [len(group["params"]) for group in self.param_groups]
        theirs = [len(group["params"]) for group in saved]
        if len(ours) != len(theirs):
            raise ValueError(
                f"{owner}: loaded state dict has a different number of parameter groups: "
                f"{len(theirs)}, the optimizer has {len(ours)}"
            )
        for i, (n, m) in enumerate(zip(ours, theirs, strict=True)):
            if n != m:
                raise ValueError(
                    f"{owner}: loaded state dict contains a parameter group that doesn't match "
                    f"the size of optimizer's group: group {i} has {m} parameters, the "
                    f"optimizer's has {n}"
                )

    # Hooks -------------------------------------------------------------------------------

    def register_step_pre_hook(self, hook):
        """Call ``hook(optimizer, args, kwargs)`` before ``step``.

        Args:
            hook: A function. It may return a pair (args, kwargs), with which ``step`` is called
                instead.

        Returns:
            ``RemovableHandle`` whose ``remove()`` takes the hook away.

        >>> import rushlight as torch
        >>> optimizer = torch.optim.SGD([torch.ones(2)])
        >>> with optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: print("before")):
        ...     optimizer.step()
        before
        """
        return add_hook(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Call ``hook(optimizer, args, kwargs)`` after ``step``.

        Args:
            hook: A function, whose result is ignored.

        Returns:
            ``RemovableHandle`` whose ``remove()`` takes the hook away.

        >>> import rushlight as torch
        >>> optimizer = torch.optim.SGD([torch.ones(2)])
        >>> with optimizer.register_step_post_hook(lambda optimizer, args, kwargs: print("after")):
        ...     optimizer.step()
        after
        """
        return add_hook(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend=False):
        """Call ``hook(optimizer)`` before ``state_dict``.

        Args:
            hook: A function, whose result is ignored.
            prepend: Call this hook before the hooks that are there already. Default: False.

        Returns:
            ``RemovableHandle`` whose ``remove()`` takes the hook away.

        >>> import rushlight as torch
        >>> optimizer = torch.optim.SGD([torch.ones(2)])
        >>> with optimizer.register_state_dict_pre_hook(lambda optimizer: print("saving")):
        ...     saved = optimizer.state_dict()
        saving
        """
        return add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend=False):
        """Call ``hook(optimizer, state_dict)`` after ``state_dict``.

        Args:
            hook: A function. It may return another state dict, which ``state_dict`` then returns.
            prepend: Call this hook before the hooks that are there already. Default: False.

        Returns:
            ``RemovableHandle`` whose ``remove()`` takes the hook away.

        >>> import rushlight as torch
        >>> optimizer = torch.optim.SGD([torch.ones(2)])
        >>> with optimizer.register_state_dict_post_hook(lambda _, found: {**found, "epoch": 3}):
        ...     optimizer.state_dict()["epoch"]
        3
        """
        return add_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False):
        """Call ``hook(optimizer, state_dict)`` before loading.

        Args:
            hook: A function. It may return another state dict, which is then loaded.
            prepend: Call this hook before the hooks that are there already. Default: False.

        Returns:
            ``RemovableHandle`` whose ``remove()`` takes the hook away.

        >>> import rushlight as torch
        >>> optimizer = torch.optim.SGD([torch.ones(2)])
        >>> with optimizer.register_load_state_dict_pre_hook(lambda *given: print("loading")):
        ...     optimizer.load_state_dict(optimizer.state_dict())
        loading
        """
        return add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False):
        """Call ``hook(optimizer)`` after loading.

        Args:
            hook: A function, whose result is ignored.
            prepend: Call this hook before the hooks that are there already. Default: False.

        Returns:
            ``RemovableHandle`` whose ``remove()`` takes the hook away.

        >>> import rushlight as torch
        >>> optimizer = torch.optim.SGD([torch.ones(2)])
        >>> with optimizer.register_load_state_dict_post_hook(lambda optimizer: print("loaded")):
        ...     optimizer.load_state_dict(optimizer.state_dict())
        loaded
        """
        return add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)


def _name_params(owner, group):
    """Make ``group["params"]`` a list of tensors; put their names into ``"param_names"``."""
    params = group["params"]
    if isinstance(params, Tensor):
        params = [params]
    if isinstance(params, set):
        raise TypeError(
            f"{owner}: optimizer parameters need to be organized in ordered collections, and the "
            "order of a set changes between runs; use a list"
        )
    params = list(params)
    names = [p[0] for p in params if isinstance(p, tuple)]
    if names and len(names) < len(params):
        raise ValueError(
            f"{owner}: all optimizer params should be with/without names. Some param "
            f"names are missing: {len(names)} of {len(params)} have one"
        )
    group["params"] = [p[1] for p in params] if names else params
    if names:
        group["param_names"] = names


def _given(found, otherwise):
    return otherwise if found is None else found


def _fitted(value, p, group, key=None):
    """Copy a loaded ``value``, with its tensors on the device and in the dtype of ``p``.

    Step counts stay as they are, except in a group that is ``capturable`` or ``fused``.
    """
    if isinstance(value, Tensor):
        if key == "step":
            single = group.get("capturable") or group.get("fused")
            return value.to(p.device, float32, copy=True) if single else value.clone()
        return value.to(p.device, p.dtype if p.is_floating_point() else value.dtype, copy=True)
    if isinstance(value, dict):
        return {k: _fitted(v, p, group, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        kind: type = type(value)
        return kind(_fitted(v, p, group) for v in value)
    return value
