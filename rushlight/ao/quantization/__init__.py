"""torch.ao.quantization: int8 weights for inference, without calibration."""

import copy
from typing import Any, NamedTuple

import rushlight
from rushlight.ao.nn.quantized import dynamic
from rushlight.ao.quantization.observer import (
    MinMaxObserver,
    ObserverBase,
    PerChannelMinMaxObserver,
    PlaceholderObserver,
    default_dynamic_quant_observer,
    default_per_channel_weight_observer,
    default_weight_observer,
)
from rushlight.nn.modules.linear import NonDynamicallyQuantizableLinear

__all__ = [
    "MinMaxObserver", "ObserverBase", "PerChannelMinMaxObserver", "PlaceholderObserver", "QConfig",
    "default_dynamic_qconfig", "default_dynamic_quant_observer",
    "default_per_channel_weight_observer", "default_weight_observer", "float16_dynamic_qconfig",
    "get_default_dynamic_quant_module_mappings", "per_channel_dynamic_qconfig", "quantize_dynamic",
]  # fmt: skip


class QConfig(NamedTuple):
    """The observers of a module.

    Args:
        activation: A function that makes the observer of its inputs and outputs.
        weight: A function that makes the observer of its weights.

    >>> import rushlight as torch
    >>> torch.ao.quantization.default_dynamic_qconfig.weight().dtype
    torch.qint8
    """

    activation: Any
    weight: Any


default_dynamic_qconfig = QConfig(default_dynamic_quant_observer, default_weight_observer)
per_channel_dynamic_qconfig = QConfig(
    default_dynamic_quant_observer, default_per_channel_weight_observer
)
float16_dynamic_qconfig = QConfig(
    PlaceholderObserver.with_args(dtype=rushlight.float16),
    PlaceholderObserver.with_args(dtype=rushlight.float16),
)
_DTYPES = {rushlight.qint8: default_dynamic_qconfig, rushlight.float16: float16_dynamic_qconfig}


def get_default_dynamic_quant_module_mappings():
    """Return which classes ``quantize_dynamic`` replaces.

    Returns:
        Dict: class of ``torch.nn`` → class of ``torch.ao.nn.quantized.dynamic``.

    >>> import rushlight as torch
    >>> found = torch.ao.quantization.get_default_dynamic_quant_module_mappings()
    >>> found[torch.nn.Linear] is torch.ao.nn.quantized.dynamic.Linear
    True
    """
    nn = rushlight.nn
    found: dict = {getattr(nn, name): getattr(dynamic, name) for name in dynamic.__all__}
    return {**found, NonDynamicallyQuantizableLinear: dynamic.Linear}


def quantize_dynamic(model, qconfig_spec=None, dtype=rushlight.qint8, mapping=None, inplace=False):
    """Replace the linear and recurrent layers inside of a model by layers with int8 weights.

    Weights are rounded once, by the greatest of them. Inputs are rounded to 7 bits at each call, by
    the least and the greatest of them. Products of integers are exact.

    Args:
        model: A Module; itself it is not replaced.
        qconfig_spec: Set of classes and names of submodules to replace; or a dict from them to a
            QConfig, or to None for those to leave as they are. Default: all classes that can be
            replaced.
        dtype: ``torch.qint8``, or ``torch.float16`` for weights in half precision.
        mapping: Dict: class → class to replace it by. Default:
            ``get_default_dynamic_quant_module_mappings()``.
        inplace: Change ``model`` and not a copy.

    Returns:
        The model.

    Raises:
        ValueError: Another ``dtype``.

    >>> import rushlight as torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU())
    >>> quantized = torch.ao.quantization.quantize_dynamic(net, {torch.nn.Linear})
    >>> quantized[0].weight().dtype, quantized(torch.ones(1, 4)).shape
    (torch.qint8, torch.Size([1, 2]))
    """
    if dtype not in _DTYPES:
        raise ValueError(
            f"Don't know how to quantize with default settings for {dtype}. Provide full qconfig "
            "please"
        )
    nn = rushlight.nn
    if qconfig_spec is None:
        qconfig_spec = {nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.RNNCell, nn.GRUCell}
    if isinstance(qconfig_spec, (set, frozenset)):
        qconfig_spec = dict.fromkeys(qconfig_spec, _DTYPES[dtype])
    if mapping is None:
        mapping = get_default_dynamic_quant_module_mappings()
    model = model if inplace else copy.deepcopy(model)
    model.eval()
    _replace(model, "", qconfig_spec, qconfig_spec.get(""), mapping)
    return model


def _replace(parent, path, spec, inherited, mapping):
    """Replace the children of a module; those of replaced ones are gone."""
    for name, child in list(parent.named_children()):
        place = f"{path}.{name}" if path else name
        config = spec.get(place, spec.get(type(child), inherited))
        if config is None or type(child) not in mapping:
            _replace(child, place, spec, config, mapping)
            continue
        child.qconfig = config
        made = mapping[type(child)].from_float(child)
        made.train(child.training)
        for hooks in ("_forward_pre_hooks", "_forward_hooks"):
            getattr(made, hooks).update(getattr(child, hooks))
        del child.qconfig
        setattr(parent, name, made)
