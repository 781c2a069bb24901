"""Summaries of a run's hyper-parameters, for TensorBoard's page of that name."""

from rushlight.tensor import Tensor
from rushlight.utils.tensorboard.summary import Summary, _metadata, _summary, plain
from rushlight.utils.tensorboard.wire import double, integer, message, sized

__all__ = ["hparams"]

_TEXT, _TRUTH, _NUMBER = 1, 2, 3
_SUCCESS = 1


def hparams(hparam_dict=None, metric_dict=None, hparam_domain_discrete=None):
    """Return three summaries: of the experiment, of a run's beginning, and of its end.

    Args:
        hparam_dict: The hyper-parameters: name to number, text, bool or tensor with one element.
            None as a value stands for "not set".
        metric_dict: The metrics, by name.
        hparam_domain_discrete: For a name of ``hparam_dict``, all values that are tried.

    Raises:
        TypeError: An argument is no dict, or a value has another type.
    """
    if not isinstance(hparam_dict, dict):
        raise TypeError("parameter: hparam_dict should be a dictionary, nothing logged.")
    if not isinstance(metric_dict, dict):
        raise TypeError("parameter: metric_dict should be a dictionary, nothing logged.")
    domains = hparam_domain_discrete or {}
    if not isinstance(domains, dict):
        raise TypeError("parameter: hparam_domain_discrete should be a dictionary, nothing logged.")
    infos, started = [], []
    for name, value in hparam_dict.items():
        if value is None:
            continue
        kind, encoded = _value(name, value)
        started.append(sized(1, message(sized(1, name), sized(2, encoded))))
        domain = None
        if name in domains:
            values = [sized(1, _value(name, v)[1]) for v in domains[name]]
            domain = sized(5, message(*values))
        infos.append(sized(4, message(sized(1, name), integer(4, kind), domain)))
    metrics = [sized(5, message(sized(1, message(sized(2, name))))) for name in metric_dict]
    return (
        _plugin("experiment", sized(2, message(*infos, *metrics))),
        _plugin("session_start_info", sized(3, message(*started))),
        _plugin("session_end_info", sized(4, message(integer(1, _SUCCESS)))),
    )


def _value(name, value):
    """(number of the type, the encoded value of google.protobuf)."""
    if isinstance(value, Tensor):
        value = plain(value).item()
    if isinstance(value, bool):
        return _TRUTH, message(b"\x20" + bytes([value]))
    if isinstance(value, str):
        return _TEXT, message(sized(3, value))
    if hasattr(value, "__float__"):
        return _NUMBER, message(double(2, float(value)))
    raise ValueError(
        f"hparams: {name!r} should be one of int, float, str, bool, or torch.Tensor, got "
        f"{type(value).__name__}"
    )


def _plugin(kind, content) -> Summary:
    return _summary(f"_hparams_/{kind}", _metadata("hparams", message(content)))
