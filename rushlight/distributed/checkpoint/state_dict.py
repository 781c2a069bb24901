"""States of models and optimizers by names of parameters, whatever wrappers are around a model."""

from collections import OrderedDict
from dataclasses import dataclass

from rushlight import late
from rushlight.autograd import no_grad
from rushlight.distributed.checkpoint._nested_dict import flatten_state_dict
from rushlight.nn.modules.module import Module
from rushlight.tensor import Tensor

__all__ = [
    "StateDictOptions", "get_model_state_dict", "get_optimizer_state_dict", "get_state_dict",
    "set_model_state_dict", "set_optimizer_state_dict", "set_state_dict",
]  # fmt: skip

#: Names in paths that wrappers add.
_WRAPPED = ("_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_orig_mod")


@dataclass
class StateDictOptions:
    """How states are made and taken.

    Args:
        full_state_dict: Whether tensors are whole.
        cpu_offload: Whether they lie on the CPU.
        ignore_frozen_params: Whether parameters that require no gradient are left out.
        keep_submodule_prefixes: Whether names begin at the model, and not at the submodules.
        strict: Whether names must be those of the model.
        broadcast_from_rank0: Whether the first process's state is given to all.
        flatten_optimizer_state_dict: Whether an optimizer's state is a dict of one level.
        dsd_fqn_modifiers: Accepted without effect.
    """

    full_state_dict: bool = False
    cpu_offload: bool = False
    ignore_frozen_params: bool = False
    keep_submodule_prefixes: bool = True
    strict: bool = True
    broadcast_from_rank0: bool = False
    flatten_optimizer_state_dict: bool = False
    dsd_fqn_modifiers: str = "_fqn_modifiers"


def _clean(model, key):
    """The name of a parameter or buffer without the parts that wrappers add."""
    found, here = [], model
    for part in key.split("."):
        inner = getattr(here, "_modules", {})
        wrapped = type(here).__name__ in ("DistributedDataParallel", "DataParallel")
        if part in _WRAPPED or (wrapped and part == "module"):
            here = inner.get(part)
            continue
        while here is not None and part not in inner and (name := _inside(inner)):
            here = inner[name]
            inner = here._modules
        found.append(part)
        here = inner.get(part)
    return ".".join(found)


def _inside(modules):
    return next((name for name in _WRAPPED if name in modules), None)


def _parameter_names(model):
    """From each parameter to its clean name."""
    params = model.named_parameters()
    return {getattr(p, "_local_tensor", p): _clean(model, n) for n, p in params}


def _moved(value, options):
    if isinstance(value, Tensor):
        if options.full_state_dict and hasattr(value, "full_tensor"):
            value = value.full_tensor()
        return value.cpu() if options.cpu_offload else value
    if isinstance(value, dict):
        return type(value)((k, _moved(v, options)) for k, v in value.items())
    return [_moved(v, options) for v in value] if isinstance(value, list) else value


def _prefixes(model, submodules):
    return tuple(_clean(model, n) + "." for n, m in model.named_modules() if m in submodules)


def get_model_state_dict(model, *, submodules=None, options=None):
    """Return the state of a model, by names without those of wrappers.

    Args:
        model: The model.
        submodules: Only the states of these modules.
        options: ``StateDictOptions``.

    Returns:
        A dict.

    >>> import rushlight as torch
    >>> from rushlight.distributed.checkpoint.state_dict import get_model_state_dict
    >>> list(get_model_state_dict(torch.nn.DataParallel(torch.nn.Linear(2, 1))))
    ['weight', 'bias']
    """
    options = options or StateDictOptions()
    state = OrderedDict((_clean(model, k), v) for k, v in model.state_dict().items())
    if options.ignore_frozen_params:
        frozen = {n for p, n in _parameter_names(model).items() if not p.requires_grad}
        state = OrderedDict((k, v) for k, v in state.items() if k not in frozen)
    if submodules:
        starts = _prefixes(model, submodules)
        state = OrderedDict(
            (k if options.keep_submodule_prefixes else k.removeprefix(start), v)
            for k, v in state.items()
            for start in starts
            if k.startswith(start)
        )
    return _moved(state, options)


def set_model_state_dict(model, model_state_dict, *, options=None):
    """Give a model a state of ``get_model_state_dict``.

    Args:
        model: The model.
        model_state_dict: The state.
        options: ``StateDictOptions``.

    Returns:
        What ``load_state_dict`` returns: ``missing_keys`` and ``unexpected_keys``.

    Raises:
        RuntimeError: Names are missing or unexpected, and ``options.strict`` is True.

    >>> import rushlight as torch
    >>> from rushlight.distributed.checkpoint.state_dict import *
    >>> model = torch.nn.Linear(2, 1)
    >>> set_model_state_dict(model, get_model_state_dict(model))
    <All keys matched successfully>
    """
    options = options or StateDictOptions()
    state = model_state_dict
    if state and isinstance(next(iter(state)), Module):  # the older form: by submodules
        state = {
            _clean(model, n) + "." + k: v
            for n, m in model.named_modules()
            for k, v in state.get(m, {}).items()
        }
    actual = {_clean(model, k): k for k in model.state_dict()}
    found = OrderedDict((actual.get(k, k), v) for k, v in state.items())
    return model.load_state_dict(found, strict=options.strict)


def _with_state(optimizer):
    """Let an optimizer that made no step yet have its state, by a step that changes nothing."""
    if optimizer.state:
        return
    params = [p for g in optimizer.param_groups for p in g["params"] if p.requires_grad]
    if any(p.grad is not None for p in params):
        raise RuntimeError(
            "state_dict can only be used if the optimizer states are initialized (usually after "
            "one step() with gradients) or gradients are None."
        )
    torch = late.framework
    rates = []
    with no_grad():
        for p in params:
            p.grad = torch.zeros_like(p)
    for group in optimizer.param_groups:
        rates.append(group.get("lr"))
        if "lr" in group:
            group["lr"] = torch.zeros_like(rates[-1]) if isinstance(rates[-1], Tensor) else 0.0
    optimizer.step(closure=None)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if "lr" in group:
            group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)


def _listed(optimizers):
    return [optimizers] if hasattr(optimizers, "param_groups") else list(optimizers)


def _optimizer_state(optimizer, names, left_out):
    _with_state(optimizer)
    raw = optimizer.state_dict()
    params = [p for g in optimizer.param_groups for p in g["params"]]
    name = {i: names[p] for i, p in enumerate(params)}
    keep = {i for i, p in enumerate(params) if name[i] not in left_out}
    groups = []
    for group in raw["param_groups"]:
        rest = {k: v for k, v in group.items() if k not in ("params", "param_names")}
        groups.append({**rest, "params": [name[i] for i in group["params"] if i in keep]})
    return {name[i]: s for i, s in raw["state"].items() if i in keep}, groups


def get_optimizer_state_dict(model, optimizers, *, submodules=None, options=None):
    """Return the state of optimizers, by names of parameters.

    Args:
        model: The model.
        optimizers: Its optimizer, or several.
        submodules: Only the states of these modules' parameters.
        options: ``StateDictOptions``.

    Returns:
        A dict with the keys "state" and "param_groups"; or of one level.

    >>> import rushlight as torch
    >>> from rushlight.distributed.checkpoint.state_dict import get_optimizer_state_dict
    >>> model = torch.nn.Linear(2, 1)
    >>> found = get_optimizer_state_dict(model, torch.optim.Adam(model.parameters()))
    >>> list(found["state"]["bias"])
    ['step', 'exp_avg', 'exp_avg_sq']
    """
    options = options or StateDictOptions()
    names = _parameter_names(model)
    left_out: set = set()
    if options.ignore_frozen_params:
        left_out = {n for p, n in names.items() if not p.requires_grad}
    if submodules:
        starts = _prefixes(model, submodules)
        left_out |= {n for n in names.values() if not n.startswith(starts)}
    state: dict = {}
    groups: list = []
    for optimizer in _listed(optimizers):
        part, more = _optimizer_state(optimizer, names, left_out)
        state.update(part)
        groups += more
    found = {"state": state, "param_groups": groups}
    if options.flatten_optimizer_state_dict:
        found = _flat(found)
    return _moved(found, options)


def _flat(found):
    flat = {f"state.{k}": v for k, v in flatten_state_dict(found["state"])[0].items()}
    for group in found["param_groups"]:
        for name in group["params"]:
            for key, value in group.items():
                if key != "params":
                    flat[f"param_groups.{name}.{key}"] = value
    return flat


def _part(optim_state_dict, optimizer, names):
    """What an optimizer loads: the state of its parameters, by their numbers."""
    raw = optimizer.state_dict()
    nested = "state" in optim_state_dict and "param_groups" in optim_state_dict
    params = [p for g in optimizer.param_groups for p in g["params"]]
    state: dict = {}
    for i, p in enumerate(params):
        if nested:
            known = optim_state_dict["state"].get(names[p], {})
        else:
            start = f"state.{names[p]}."
            known = {
                k.removeprefix(start): v for k, v in optim_state_dict.items() if k.startswith(start)
            }
        if known:
            state[i] = known
    groups = []
    for group, current in zip(raw["param_groups"], optimizer.param_groups, strict=True):
        first = names[current["params"][0]] if current["params"] else None
        groups.append({**group, **_group_options(optim_state_dict, first, nested, group)})
    return {"state": state, "param_groups": groups}


def _group_options(optim_state_dict, name, nested, group):
    if nested:
        for saved in optim_state_dict["param_groups"]:
            if name in saved["params"]:
                return {k: v for k, v in saved.items() if k != "params"}
        return {}
    start = f"param_groups.{name}."
    return {k: optim_state_dict[start + k] for k in group if start + k in optim_state_dict}


def set_optimizer_state_dict(model, optimizers, optim_state_dict, *, options=None):
    """Give optimizers a state of ``get_optimizer_state_dict``.

    Args:
        model: The model.
        optimizers: Its optimizer, or several.
        optim_state_dict: The state.
        options: ``StateDictOptions``.

    >>> import rushlight as torch
    >>> from rushlight.distributed.checkpoint.state_dict import *
    >>> model = torch.nn.Linear(2, 1)
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> set_optimizer_state_dict(model, optimizer, get_optimizer_state_dict(model, optimizer))
    """
    names = _parameter_names(model)
    for optimizer in _listed(optimizers):
        _with_state(optimizer)
        optimizer.load_state_dict(_part(optim_state_dict, optimizer, names))


def get_state_dict(model, optimizers, *, submodules=None, options=None):
    """Return the states of a model and its optimizers.

    Args:
        model, optimizers, submodules, options: As of the two functions that it calls.

    Returns:
        Tuple of ``get_model_state_dict`` and ``get_optimizer_state_dict``.

    >>> import rushlight as torch
    >>> from rushlight.distributed.checkpoint.state_dict import get_state_dict
    >>> model = torch.nn.Linear(2, 1)
    >>> states = get_state_dict(model, torch.optim.SGD(model.parameters(), lr=0.1))
    >>> [list(state) for state in states]
    [['weight', 'bias'], ['state', 'param_groups']]
    """
    optimizers = _listed(optimizers)
    return (
        get_model_state_dict(model, submodules=submodules, options=options),
        get_optimizer_state_dict(model, optimizers, submodules=submodules, options=options),
    )


def set_state_dict(model, optimizers, *, model_state_dict, optim_state_dict, options=None):
    """Give a model and its optimizers the states of ``get_state_dict``.

    Args:
        model, optimizers, model_state_dict, optim_state_dict, options: As of the two functions
            that it calls.

    Returns:
        What ``load_state_dict`` of the model returns.
    """
    optimizers = _listed(optimizers)
    if optimizers:
        set_optimizer_state_dict(model, optimizers, optim_state_dict, options=options)
    return set_model_state_dict(model, model_state_dict, options=options)
