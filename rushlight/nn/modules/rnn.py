"""Recurrent networks: plain ones, long short-term memories and gated units."""

import numbers
import warnings

import rushlight
from rushlight.nn.modules.module import Module
from rushlight.nn.modules.rnn_cell import reset_by_width
from rushlight.nn.parameter import Parameter
from rushlight.nn.utils.rnn import PackedSequence, sizes_of
from rushlight.tensor import Tensor

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """Base of RNN, LSTM and GRU.

    Args:
        mode: ``"LSTM"``, ``"GRU"``, ``"RNN_TANH"`` or ``"RNN_RELU"``.
        proj_size: Project h to this many features, fewer than ``hidden_size``. Default: 0, no
            projection.

    >>> import rushlight as torch
    >>> isinstance(torch.nn.GRU(2, 3), torch.nn.RNNBase)
    True
    """

    __constants__ = [
        "mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
        "bidirectional", "proj_size",
    ]  # fmt: skip

    def __init__(
        self, mode, input_size, hidden_size, num_layers=1, bias=True, batch_first=False,
        dropout=0.0, bidirectional=False, proj_size=0, device=None, dtype=None,
    ):  # fmt: skip
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_options(dropout)
        self._all_weights = []
        self._flat_weights_names = []
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[: 1 + bool(bidirectional)]:
                shapes = self._shapes(layer)
                names = [f"{name}_l{layer}{suffix}" for name in shapes]
                for name, shape in zip(names, shapes.values(), strict=True):
                    empty = rushlight.empty(shape, device=device, dtype=dtype)
                    self.register_parameter(name, Parameter(empty))
                self._all_weights.append(names)
                self._flat_weights_names += names
        self.reset_parameters()

    def _check_options(self, dropout):
        number = isinstance(dropout, numbers.Number) and not isinstance(dropout, bool)
        if not number or not 0 <= dropout <= 1:
            raise ValueError(f"RNNBase: dropout must be a number in [0, 1], got {dropout!r}")
        if dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={dropout} and "
                "num_layers=1",
                stacklevel=4,
            )
        for name in ("bias", "batch_first"):
            if not isinstance(getattr(self, name), bool):
                kind = type(getattr(self, name)).__name__
                raise TypeError(f"RNNBase: {name} should be of type bool, got: {kind}")
        for name in ("input_size", "hidden_size"):
            size = getattr(self, name)
            if not isinstance(size, int):
                kind = type(size).__name__
                raise TypeError(f"RNNBase: {name} should be of type int, got: {kind}")
            if size <= 0:
                raise ValueError(f"RNNBase: {name} must be greater than zero, got {size}")
        if self.num_layers <= 0:
            raise ValueError(
                f"RNNBase: num_layers must be greater than zero, got {self.num_layers}"
            )
        if not 0 <= self.proj_size < self.hidden_size:
            raise ValueError(
                f"RNNBase: proj_size must be 0 or more and smaller than hidden_size, got "
                f"{self.proj_size}"
            )
        if self.mode not in _GATES:
            raise ValueError(f"RNNBase: Unrecognized RNN mode: {self.mode}")

    @property
    def _state_size(self):
        return self.proj_size or self.hidden_size

    def _shapes(self, layer):
        """The shapes of the weights of one direction of the layer numbered ``layer``, by name."""
        gates = _GATES[self.mode] * self.hidden_size
        before = self._state_size * (1 + bool(self.bidirectional)) if layer else self.input_size
        shapes: dict[str, tuple] = {
            "weight_ih": (gates, before),
            "weight_hh": (gates, self._state_size),
        }
        if self.bias:
            shapes |= {"bias_ih": (gates,), "bias_hh": (gates,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return shapes

    def reset_parameters(self):
        """Draw all weights again."""
        reset_by_width(self)

    def flatten_parameters(self):
        """Do nothing. PyTorch's programs call this method to speed up networks on a GPU."""

    @property
    def all_weights(self):
        """A list of weights for each direction of each layer."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self):
        own = self._parameters
        return [own[n] if n in own else getattr(self, n) for n in self._flat_weights_names]

    @_flat_weights.setter
    def _flat_weights(self, weights):
        own = self._parameters
        for name, weight in zip(self._flat_weights_names, weights, strict=True):
            if name in own:
                own[name] = weight
            else:
                setattr(self, name, weight)

    # Checks -----------------------------------------------------------------------------

    def check_input(self, input, batch_sizes):
        """Raise an error if the dtype or shape of ``input`` does not fit.

        The dtype must be the weights' dtype, except under autocast, which converts ``input``.
        """
        weight = self._flat_weights[0]
        if input.dtype is not weight.dtype and not rushlight.is_autocast_enabled("cpu"):
            raise ValueError(
                f"{self.mode}: RNN input dtype ({input.dtype}) does not match weight dtype "
                f"({weight.dtype}). Convert input: input.to({weight.dtype}), or convert model: "
                f"model.to({input.dtype})"
            )
        dims = 3 if batch_sizes is None else 2
        if input.dim() != dims:
            raise RuntimeError(
                f"{self.mode}: input must have {dims} dimensions, got {tuple(input.shape)}"
            )
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{self.mode}: input.size(-1) must be equal to input_size. Expected "
                f"{self.input_size}, got {input.shape[-1]}"
            )

    def get_expected_hidden_size(self, input, batch_sizes):
        """The shape of the first hidden state."""
        return (*self._state_shape(input, batch_sizes), self._state_size)

    def _state_shape(self, input, batch_sizes):
        if batch_sizes is None:
            batch = input.shape[0 if self.batch_first else 1]
        else:
            batch = int(batch_sizes[0])
        return self.num_layers * (1 + bool(self.bidirectional)), batch

    def check_hidden_size(self, hx, expected_hidden_size, msg="Expected hidden size {}, got {}"):
        """Raise an error if the shape of ``hx`` is not ``expected_hidden_size``."""
        if tuple(hx.shape) != tuple(expected_hidden_size):
            raise RuntimeError(
                f"{self.mode}: " + msg.format(tuple(expected_hidden_size), list(hx.shape))
            )

    def check_forward_args(self, input, hidden, batch_sizes):
        """Raise an error if the input or the first state does not fit the network."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx, permutation):
        """Reorder the sequences of the state ``hx`` by ``permutation``; None keeps the order."""
        return hx if permutation is None else hx.index_select(1, permutation)

    # Forward ----------------------------------------------------------------------------

    def forward(self, input, hx=None):
        if isinstance(input, PackedSequence):
            return self._of_packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{self.mode}: Expected input to be 2D or 3D, got {input.dim()}D instead"
            )
        if input.dim() == 3:
            return self._of_batch(input, hx)
        batch_dim = 0 if self.batch_first else 1
        if hx is not None:
            self._check_dims(hx, 2)
            hx = self._each(hx, lambda s: s.unsqueeze(1))
        output, hidden = self._of_batch(input.unsqueeze(batch_dim), hx)
        return output.squeeze(batch_dim), self._each(hidden, lambda s: s.squeeze(1))

    def _of_batch(self, input, hx):
        if hx is None:
            hx = self._zeros(input, None)
            self.check_input(input, None)
        else:
            self._check_dims(hx, 3)
            self.check_forward_args(input, hx, None)
        output, *hidden = getattr(rushlight, self.mode.lower())(
            input, hx, self._flat_weights, self.bias, self.num_layers, self.dropout,
            self.training, self.bidirectional, self.batch_first,
        )  # fmt: skip
        return output, self._one_or_more(hidden)

    def _of_packed(self, packed, hx):
        data, _, sorted_indices, unsorted_indices = packed
        sizes = sizes_of(packed)
        hx = self._zeros(data, sizes) if hx is None else self.permute_hidden(hx, sorted_indices)
        self.check_forward_args(data, hx, sizes)
        output, *hidden = getattr(rushlight, self.mode.lower())(
            data, sizes, hx, self._flat_weights, self.bias, self.num_layers, self.dropout,
            self.training, self.bidirectional,
        )  # fmt: skip
        found = packed.with_data(output)
        return found, self.permute_hidden(self._one_or_more(hidden), unsorted_indices)

    def _zeros(self, input, sizes):
        """The state of zeros that is used before the first step if the caller gives no state."""
        return input.new_zeros(self.get_expected_hidden_size(input, sizes))

    def _check_dims(self, hx, dims):
        if hx.dim() != dims:
            raise RuntimeError(
                f"{self.mode}: For {'batched ' if dims == 3 else 'unbatched '}{dims}-D input, hx "
                f"should also be {dims}-D but got {hx.dim()}-D tensor"
            )

    def _each(self, hx, fn):
        """Apply ``fn`` to the state; LSTM applies ``fn`` to both of its states."""
        return fn(hx)

    def _one_or_more(self, hidden):
        return hidden[0]

    def extra_repr(self):
        defaults = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0,
            "bidirectional": False,
        }  # fmt: skip
        options = [
            f"{name}={getattr(self, name)}"
            for name, default in defaults.items()
            if getattr(self, name) != default
        ]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *options])

    def __getstate__(self):
        return {**super().__getstate__(), "_flat_weights": self._flat_weights}  # PyTorch has it

    def __setstate__(self, state):
        super().__setstate__(state)
        self.__dict__.pop("_flat_weights", None)
        self.__dict__.setdefault("proj_size", 0)


class RNN(RNNBase):
    """h = f(W_ih x + b_ih + W_hh h + b_hh) over a sequence; f is tanh or relu.

    ``RNN(input_size, hidden_size, num_layers=1, nonlinearity="tanh", bias=True,
    batch_first=False, dropout=0.0, bidirectional=False)``. The input may be a PackedSequence.

    Shape: x: (steps, batch, input_size), or (batch, steps, …) with ``batch_first``, or (steps,
    input_size); hx: (layers · directions, batch, hidden_size) → (steps, batch, directions ·
    hidden_size) and the last hx.

    Args:
        nonlinearity: The function f: ``"tanh"`` (default) or ``"relu"``.

    Raises:
        ValueError: An option is out of range, or the input's dims or dtype do not fit.
        RuntimeError: Sizes do not fit.

    >>> import rushlight as torch
    >>> output, h = torch.nn.RNN(10, 20, 2)(torch.randn(5, 3, 10))
    >>> output.shape, h.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("RNN: proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"RNN: Unknown nonlinearity {nonlinearity!r}. Select from 'tanh' or 'relu'."
            )
        super().__init__("RNN_" + nonlinearity.upper(), *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """A long short-term memory over a sequence.

    i, f, g, o = σ, σ, tanh, σ of W_ih x + b_ih + W_hh h + b_hh; c = f · c + i · g;
    h = o · tanh(c). With ``proj_size`` above 0, h is W_hr (o · tanh(c)).

    ``LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
    bidirectional=False, proj_size=0)``. The input may be a PackedSequence.

    Shape: x: (steps, batch, input_size), or (batch, steps, …) with ``batch_first``, or (steps,
    input_size); hx: a pair (layers · directions, batch, hidden_size or proj_size),
    (layers · directions, batch, hidden_size) → (steps, batch, directions · hidden_size or
    proj_size) and the last hx.

    Args:
        proj_size: Project h to this many features, fewer than ``hidden_size``. Default: 0, no
            projection.

    Raises:
        ValueError: An option is out of range, or the input's dims or dtype do not fit.
        RuntimeError: Sizes do not fit.

    Source: Hochreiter and Schmidhuber 1997.

    >>> import rushlight as torch
    >>> output, (h, c) = torch.nn.LSTM(10, 20, 2)(torch.randn(5, 3, 10))
    >>> output.shape, c.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args, **kwargs):
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input, batch_sizes):
        """The shape of the first cell state."""
        return (*self._state_shape(input, batch_sizes), self.hidden_size)

    def check_forward_args(self, input, hidden, batch_sizes):
        self.check_input(input, batch_sizes)
        h, c = hidden
        expected = self.get_expected_hidden_size(input, batch_sizes)
        self.check_hidden_size(h, expected, "Expected hidden[0] size {}, got {}")
        expected = self.get_expected_cell_size(input, batch_sizes)
        self.check_hidden_size(c, expected, "Expected hidden[1] size {}, got {}")

    def permute_hidden(self, hx, permutation):
        return self._each(hx, lambda s: super(LSTM, self).permute_hidden(s, permutation))

    def _zeros(self, input, sizes):
        h = super()._zeros(input, sizes)
        return h, input.new_zeros(self.get_expected_cell_size(input, sizes))

    def _check_dims(self, hx, dims):
        h, c = _pair(hx)
        if h.dim() != dims or c.dim() != dims:
            raise RuntimeError(
                f"LSTM: For {'batched' if dims == 3 else 'unbatched'} {dims}-D input, hx and cx "
                f"should also be {dims}-D but got ({h.dim()}-D, {c.dim()}-D) tensors"
            )

    def _each(self, hx, fn):
        h, c = _pair(hx)
        return fn(h), fn(c)

    def _one_or_more(self, hidden):
        return tuple(hidden)


def _pair(hx):
    """Return ``hx``, which is a pair of tensors or one tensor with two slices; else raise."""
    many = isinstance(hx, (tuple, list))
    if many and len(hx) == 2 and isinstance(hx[0], Tensor) and isinstance(hx[1], Tensor):
        return hx
    if isinstance(hx, Tensor) and len(hx) == 2:
        return hx
    if (many and all(isinstance(state, Tensor) for state in hx)) or isinstance(hx, Tensor):
        raise RuntimeError(f"LSTM: lstm expects two hidden states, (h, c), but got {len(hx)}")
    given = type(hx).__name__
    if many:
        given += f" of {', '.join([type(state).__name__ for state in hx])}"
    raise TypeError(f"LSTM: hx must be a pair (h, c) of tensors, but got a {given}")


class GRU(RNNBase):
    """Gated recurrent units over a sequence.

    r, z = σ of W_ih x + b_ih + W_hh h + b_hh; n = tanh(W_in x + b_in + r · (W_hn h + b_hn));
    h = (1 - z) · n + z · h.

    ``GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0,
    bidirectional=False)``. The input may be a PackedSequence.

    Shape: x: (steps, batch, input_size), or (batch, steps, …) with ``batch_first``, or (steps,
    input_size); hx: (layers · directions, batch, hidden_size) → (steps, batch, directions ·
    hidden_size) and the last hx.

    Raises:
        ValueError: An option is out of range, or the input's dims or dtype do not fit.
        RuntimeError: Sizes do not fit.

    Source: Cho et al. 2014.

    >>> import rushlight as torch
    >>> output, h = torch.nn.GRU(10, 20, 2)(torch.randn(5, 3, 10))
    >>> output.shape, h.shape
    (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    def __init__(self, *args, **kwargs):
        if "proj_size" in kwargs:
            raise ValueError("GRU: proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)
