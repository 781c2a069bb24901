"""Recurrent layers with int8 weights.

The inputs of all steps become integers at once, and the hidden state at each step, as in PyTorch.
"""

from typing import Any

import rushlight
from rushlight.ao.nn.quantized.dynamic.linear import PackedParams, quantized_weight
from rushlight.autograd.mode import no_grad
from rushlight.nn import Dropout, Module, ModuleList
from rushlight.nn.utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "GRUCell", "LSTMCell", "RNNCell"]


def _lstm(gates, hidden_gates, state):
    """The next (h, c) of an LSTM."""
    i, f, g, o = (gates + hidden_gates).chunk(4, dim=-1)
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru(gates, hidden_gates, state):
    """The next (h,) of a GRU."""
    r, z, n = gates.chunk(3, dim=-1)
    hr, hz, hn = hidden_gates.chunk(3, dim=-1)
    z, n = (z + hz).sigmoid(), (n + (r + hr).sigmoid() * hn).tanh()
    return (n + z * (state[0] - n),)


class _Packed(Module):
    """The weights of one direction of a layer, or of a cell."""

    def __init__(self, w_ih, w_hh, b_ih, b_hh, dtype):
        super().__init__()
        self.ih = PackedParams(w_ih, b_ih, dtype)
        self.hh = PackedParams(w_hh, b_hh, dtype)


def _packed(mod, names, make_observer):
    """The _Packed of the parameters of ``mod`` with these names."""
    observer = make_observer()
    if observer.dtype not in (rushlight.qint8, rushlight.float16):
        raise RuntimeError(
            "Unsupported dtype specified for dynamic quantized recurrent layers: only torch.qint8 "
            "and torch.float16"
        )
    values = [getattr(mod, n, None) for n in names]
    weights = [quantized_weight(w, make_observer(), observer.dtype) for w in values[:2]]
    biases = [None if b is None else b.detach().float() for b in values[2:]]
    return _Packed(weights[0], weights[1], biases[0], biases[1], observer.dtype)


def _weight_observer(mod):
    from rushlight.ao.quantization import default_dynamic_qconfig

    return (getattr(mod, "qconfig", None) or default_dynamic_qconfig).weight


class _Recurrent(Module):
    """The part that the layers share."""

    _step: Any
    _states: int
    _name = ""

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Make the layer of one with a ``qconfig``.

        Args:
            mod: The layer of ``torch.nn``.
            use_precomputed_fake_quant: Accepted without effect.

        Returns:
            The quantized layer.

        Raises:
            NotImplementedError: The layer has projections.
        """
        if getattr(mod, "proj_size", 0):
            raise NotImplementedError(f"{cls.__name__}: quantized layers have no projections")
        made = cls.__new__(cls)
        Module.__init__(made)
        for name in ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
                     "bidirectional"):  # fmt: skip
            setattr(made, name, getattr(mod, name))
        made.training = mod.training
        suffixes = ["", "_reverse"] if mod.bidirectional else [""]
        kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        made._all_weight_values = ModuleList([
            _packed(mod, [f"{kind}_l{layer}{s}" for kind in kinds], _weight_observer(mod))
            for layer in range(mod.num_layers) for s in suffixes
        ])  # fmt: skip
        return made

    def __repr__(self):
        return f"{self._name}({self.extra_repr()})"

    def extra_repr(self):
        """Return the sizes and options, for ``print``."""
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0,
                    "bidirectional": False}  # fmt: skip
        given = [(k, getattr(self, k)) for k, v in defaults.items() if getattr(self, k) != v]
        return ", ".join([text, *[f"{k}={v}" for k, v in given]])

    @no_grad()
    def forward(self, input, hx=None):
        """Run the layer on sequences.

        Args:
            input: Tensor ``(L, N, in)``, ``(N, L, in)`` with ``batch_first``, or ``(L, in)``.
            hx: The state before the first step, as in ``torch.nn``. Default: zeros.

        Returns:
            (output, state), without gradients.

        Raises:
            NotImplementedError: ``input`` is a PackedSequence.
        """
        if isinstance(input, PackedSequence):
            raise NotImplementedError(f"{self._name}: pad packed sequences first")
        batched = input.ndim == 3
        x = input if batched else input.unsqueeze(1)
        x = x.transpose(0, 1) if self.batch_first and batched else x
        count = len(self._all_weight_values)
        if hx is None:
            states = [x.new_zeros(count, x.shape[1], self.hidden_size)] * self._states
        else:
            states = list(hx) if isinstance(hx, (tuple, list)) else [hx]
            states = states if batched else [s.unsqueeze(1) for s in states]
        out, last = self._layers(x, states)
        found = [s if batched else s.squeeze(1) for s in last]
        out = out if batched else out.squeeze(1)
        out = out.transpose(0, 1) if self.batch_first and batched else out
        return out, found[0] if self._states == 1 else tuple(found)

    def _layers(self, x, states):
        """(outputs of the last layer, the last states of all layers)."""
        directions = 2 if self.bidirectional else 1
        last: list = []
        for layer in range(self.num_layers):
            outs = []
            for d in range(directions):
                k = layer * directions + d
                out, state = self._run(self._all_weight_values[k], x, [s[k] for s in states], d)
                outs.append(out)
                last.append(state)
            x = rushlight.cat(outs, dim=-1) if directions == 2 else outs[0]
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = Dropout(self.dropout)(x)
        return x, [rushlight.stack(list(parts)) for parts in zip(*last, strict=True)]

    def _run(self, packed, x, state, reverse):
        """(outputs, last state) of one direction of a layer."""
        gates = packed.ih(x)
        outs: list = []
        steps = range(x.shape[0])
        for t in reversed(steps) if reverse else steps:
            state = type(self)._step(gates[t], packed.hh(state[0]), state)
            outs.append(state[0])
        return rushlight.stack(outs[::-1] if reverse else outs), state


class LSTM(_Recurrent):
    """An LSTM whose weights are int8; ``quantize_dynamic`` makes it of a ``torch.nn.LSTM``.

    >>> import rushlight as torch
    >>> net = torch.nn.Sequential(torch.nn.LSTM(2, 3))
    >>> torch.ao.quantization.quantize_dynamic(net)[0]
    DynamicQuantizedLSTM(2, 3)
    """

    _step = staticmethod(_lstm)
    _states = 2
    _name = "DynamicQuantizedLSTM"


class GRU(_Recurrent):
    """A GRU whose weights are int8; ``quantize_dynamic`` makes it of a ``torch.nn.GRU``.

    >>> import rushlight as torch
    >>> net = torch.nn.Sequential(torch.nn.GRU(2, 3))
    >>> torch.ao.quantization.quantize_dynamic(net)[0]
    DynamicQuantizedGRU(2, 3)
    """

    _step = staticmethod(_gru)
    _states = 1
    _name = "DynamicQuantizedGRU"


class _Cell(Module):
    """The part that the cells share."""

    _step: Any
    _states: int
    _name = ""

    @classmethod
    def from_float(cls, mod, use_precomputed_fake_quant=False):
        """Make the cell of one with a ``qconfig``.

        Args:
            mod: The cell of ``torch.nn``.
            use_precomputed_fake_quant: Accepted without effect.

        Returns:
            The quantized cell.
        """
        made = cls.__new__(cls)
        Module.__init__(made)
        made.input_size, made.hidden_size, made.bias = mod.input_size, mod.hidden_size, mod.bias
        made.nonlinearity = getattr(mod, "nonlinearity", "tanh")
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        made._packed = _packed(mod, names, _weight_observer(mod))
        return made

    def __repr__(self):
        return f"{self._name}({self.extra_repr()})"

    def extra_repr(self):
        """Return the sizes, for ``print``."""
        return f"{self.input_size}, {self.hidden_size}"

    @no_grad()
    def forward(self, input, hx=None):
        """Run one step.

        Args:
            input: Tensor ``(N, in)`` or ``(in,)``.
            hx: The state, as in ``torch.nn``. Default: zeros.

        Returns:
            The next state, without gradients.
        """
        if hx is None:
            state = [input.new_zeros((*input.shape[:-1], self.hidden_size))] * self._states
        else:
            state = list(hx) if isinstance(hx, (tuple, list)) else [hx]
        found = self._advance(self._packed.ih(input), self._packed.hh(state[0]), state)
        return found[0] if self._states == 1 else found

    def _advance(self, gates, hidden_gates, state):
        return type(self)._step(gates, hidden_gates, state)


class LSTMCell(_Cell):
    """An LSTM cell whose weights are int8.

    >>> import rushlight as torch
    >>> net = torch.nn.ModuleList([torch.nn.LSTMCell(2, 3)])
    >>> torch.ao.quantization.quantize_dynamic(net)[0]
    DynamicQuantizedLSTMCell(2, 3)
    """

    _step = staticmethod(_lstm)
    _states = 2
    _name = "DynamicQuantizedLSTMCell"


class GRUCell(_Cell):
    """A GRU cell whose weights are int8.

    >>> import rushlight as torch
    >>> net = torch.nn.ModuleList([torch.nn.GRUCell(2, 3)])
    >>> torch.ao.quantization.quantize_dynamic(net)[0]
    DynamicQuantizedGRUCell(2, 3)
    """

    _step = staticmethod(_gru)
    _states = 1
    _name = "DynamicQuantizedGRUCell"


class RNNCell(_Cell):
    """An Elman cell whose weights are int8.

    >>> import rushlight as torch
    >>> net = torch.nn.ModuleList([torch.nn.RNNCell(2, 3)])
    >>> torch.ao.quantization.quantize_dynamic(net)[0]
    DynamicQuantizedRNNCell(2, 3)
    """

    _states = 1
    _name = "DynamicQuantizedRNNCell"

    def _advance(self, gates, hidden_gates, state):
        total = gates + hidden_gates
        return (total.relu() if self.nonlinearity == "relu" else total.tanh(),)
