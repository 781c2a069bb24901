"""Recurrent cells: each computes one step of a recurrent network."""

import math

import rushlight
from rushlight.nn import init
from rushlight.nn.modules.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.ops.sequence import rnn as ops

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


def reset_by_width(module):
    """Draw all weights uniformly from ±1/√hidden_size, in the order of their registration."""
    bound = 1.0 / math.sqrt(module.hidden_size) if module.hidden_size > 0 else 0
    for weight in module.parameters():
        init.uniform_(weight, -bound, bound)


class RNNCellBase(Module):
    """Base of RNNCell, LSTMCell and GRUCell.

    Args:
        input_size: Number of features of the input.
        hidden_size: Number of features of the hidden state.
        bias: Use the biases b_ih and b_hh.
        num_chunks: Number of gates. Each weight has ``num_chunks`` · ``hidden_size`` rows.

    >>> import rushlight as torch
    >>> isinstance(torch.nn.GRUCell(2, 3), torch.nn.RNNCellBase)
    True
    """

    __constants__ = ["input_size", "hidden_size", "bias"]

    def __init__(self, input_size, hidden_size, bias, num_chunks, device=None, dtype=None):
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size)}
        biases = {"bias_ih": (rows,), "bias_hh": (rows,)}
        for name, shape in (shapes | biases).items():
            if name in biases and not bias:
                self.register_parameter(name, None)
                continue
            empty = rushlight.empty(shape, device=device, dtype=dtype)
            self.register_parameter(name, Parameter(empty))
        self.reset_parameters()

    def reset_parameters(self):
        """Draw all weights again."""
        reset_by_width(self)

    def extra_repr(self):
        options = [] if self.bias is True else [f"bias={self.bias}"]
        if self.__dict__.get("nonlinearity", "tanh") != "tanh":
            options.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *options])

    def _weights(self):
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _batched(self, input, states, step):
        """Run ``step`` on a batch; an input of one dim becomes a batch of one for ``step``."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for i, s in enumerate(states or ()):
            if s.dim() not in (1, 2):
                state = f"hx[{i}]" if len(states) > 1 else "hidden"
                raise ValueError(f"{name}: Expected {state} to be 1D or 2D, got {s.dim()}D instead")
        alone = input.dim() == 1
        if alone:
            input = input.unsqueeze(0)
            states = states and [s.unsqueeze(0) for s in states]
        if states is None:
            states = [input.new_zeros((input.shape[0], self.hidden_size))] * 2
        found = step(input, states)
        return [s.squeeze(0) for s in found] if alone else found


class RNNCell(RNNCellBase):
    """One step of a plain recurrent network: f(W_ih x + b_ih + W_hh h + b_hh).

    Shape: x: (batch, input_size) or (input_size); hx: (batch, hidden_size) or (hidden_size) →
    the same as hx.

    Args:
        nonlinearity: The function f: ``"tanh"`` (default) or ``"relu"``.

    Raises:
        ValueError: The input or hx has neither 1 nor 2 dims.
        RuntimeError: Sizes do not fit, or ``nonlinearity`` is neither tanh nor relu (in the call).

    >>> import rushlight as torch
    >>> torch.nn.RNNCell(10, 20)(torch.randn(3, 10)).shape
    torch.Size([3, 20])
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self, input_size, hidden_size, bias=True, nonlinearity="tanh", device=None, dtype=None
    ):
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input, hx=None):
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"RNNCell: Unknown nonlinearity: {self.nonlinearity}")
        cell = ops.rnn_tanh_cell if self.nonlinearity == "tanh" else ops.rnn_relu_cell
        step = lambda x, states: [cell(x, states[0], *self._weights())]
        return self._batched(input, None if hx is None else [hx], step)[0]


class LSTMCell(RNNCellBase):
    """One step of a long short-term memory: computes the next (h, c) from the pair ``hx``.

    Shape: x: (batch, input_size) or (input_size); each of hx: (batch, hidden_size) or
    (hidden_size) → the same as hx.

    Raises:
        ValueError: The input or a state has neither 1 nor 2 dims.
        RuntimeError: Sizes do not fit.

    >>> import rushlight as torch
    >>> h, c = torch.nn.LSTMCell(10, 20)(torch.randn(3, 10))
    >>> h.shape
    torch.Size([3, 20])
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input, hx=None):
        step = lambda x, states: ops.lstm_cell(x, states, *self._weights())
        return tuple(self._batched(input, None if hx is None else list(hx), step))


class GRUCell(RNNCellBase):
    """One step of gated recurrent units.

    Shape: x: (batch, input_size) or (input_size); hx: (batch, hidden_size) or (hidden_size) →
    the same as hx.

    Raises:
        ValueError: The input or hx has neither 1 nor 2 dims.
        RuntimeError: Sizes do not fit.

    >>> import rushlight as torch
    >>> torch.nn.GRUCell(10, 20)(torch.randn(3, 10)).shape
    torch.Size([3, 20])
    """

    def __init__(self, input_size, hidden_size, bias=True, device=None, dtype=None):
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input, hx=None):
        step = lambda x, states: [ops.gru_cell(x, states[0], *self._weights())]
        return self._batched(input, None if hx is None else [hx], step)[0]
