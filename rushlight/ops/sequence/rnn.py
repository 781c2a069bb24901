"""Recurrent networks of several layers and directions, and their cells, as functions.

Each layer is one operation, defined in ``lstm.py``, ``gru.py`` or ``elman.py``.
"""

from rushlight.autograd.tape import watch
from rushlight.dtype import float32
from rushlight.errors import DtypeError, ShapeError
from rushlight.notices import warn_once
from rushlight.ops.core.autocast import LOWER, SINGLE, autocasts
from rushlight.ops.core.definition import function
from rushlight.ops.create.filled import empty_like
from rushlight.ops.linear.linear import linear
from rushlight.ops.random.dropout import dropout as _dropout
from rushlight.ops.sequence.elman import rnn_layer
from rushlight.ops.sequence.gru import gru_layer
from rushlight.ops.sequence.lstm import lstm_layer
from rushlight.ops.shape.join import cat, stack
from rushlight.tensor import Tensor

__all__ = [
    "NETWORKS", "gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh",
    "rnn_tanh_cell",
]  # fmt: skip


def _lstm_direction(drive, states, weights, **params):
    projection = weights[-1] if len(weights) in (3, 5) else None
    bias = weights[3] if len(weights) > 3 else None
    return lstm_layer(drive, *states, weights[1], bias, projection, **params)


def _gru_direction(drive, states, weights, **params):
    return gru_layer(drive, *states, *weights[1::2], **params)


def _rnn_direction(relu):
    return lambda drive, states, weights, **params: rnn_layer(
        drive, *states, *weights[1::2], relu=relu, **params
    )


# Networks ---------------------------------------------------------------------------------


def _grouped(name, params, has_biases, layers, bidirectional, projected=False):
    """Split the flat list of weights into one list for each layer and direction."""
    each = 2 + 2 * bool(has_biases) + projected
    params = tuple(params)
    if len(params) != each * layers * (1 + bool(bidirectional)):
        raise RuntimeError(
            f"{name}: got {len(params)} weights where {layers} layers in "
            f"{1 + bool(bidirectional)} directions have {each} each"
        )
    return [params[i : i + each] for i in range(0, len(params), each)]


def _check(name, input, states, weights):
    for t in (input, *states, *weights):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"{name}(): input, states and weights must be Tensors, not {type(t).__name__}"
            )
    for t in (*states, *weights):
        if t.dtype is not input.dtype:
            raise DtypeError(
                f"{name}: input is {input.dtype}, a state or weight is {t.dtype}; convert one with "
                ".to()"
            )


def _check_rows(name, w_ih, w_hh):
    if w_hh._array.ndim != 2 or w_hh._array.shape[0] != w_ih._array.shape[0]:
        raise ShapeError(
            f"{name}: w_hh {tuple(w_hh.shape)} must be a matrix with as many rows as w_ih "
            f"{tuple(w_ih.shape)}"
        )


class _Network:
    """One of PyTorch's functions for a whole network, for padded and for packed sequences.

    Attributes:
        run: The function of one direction of a layer.
        precision: The autocast list of the function (an argument, which is not stored).
    """

    def __init__(self, name, run, precision=LOWER):
        self.name, self.run = name, run
        cast = autocasts(precision)(self._layers)
        self._cast_layers = cast if precision is LOWER else _in_dtype_of_state(cast)

    def __call__(self, *args, **kwargs):
        several = "batch_sizes" in kwargs or (len(args) > 3 and type(args[3]) in (tuple, list))
        return (self.packed if several else self.batch)(*args, **kwargs)

    def batch(
        self, input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first
    ):
        """Run sequences of equal length. Input: (steps, batch, features), or ``batch_first``."""
        if input.ndim != 3:
            raise ShapeError(f"{self.name}: input must have 3 dims, but is {tuple(input.shape)}")
        if (
            input.dtype is float32
            and not isinstance(hx, Tensor)
            and hx[0].shape[-1] != hx[1].shape[-1]
        ):
            warn_once(
                "LSTM with projections is not supported with oneDNN. Using default implementation."
            )
        if batch_first:
            input = input.transpose(0, 1)
        length, batch, features = input._array.shape
        if not length:
            raise RuntimeError(
                f"{self.name}: Expected sequence length to be larger than 0 in RNN: input is "
                f"{tuple(input.shape)}"
            )
        rows, ends = self._cast_layers(
            input.reshape(length * batch, features), (batch,) * length, hx, params, has_biases,
            num_layers, dropout, train, bidirectional,
        )  # fmt: skip
        out = rows.reshape(length, batch, rows._array.shape[1])
        return out.transpose(0, 1) if batch_first else out, *ends

    def packed(
        self, data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional
    ):
        """Run packed sequences. Step t has the next ``batch_sizes[t]`` rows of data."""
        sizes = batch_sizes if type(batch_sizes) is tuple else tuple(batch_sizes.tolist())
        if data.shape[0] > sum(sizes):  # as in PyTorch, further rows are not read
            data = data[: sum(sizes)]
        rows, ends = self._cast_layers(
            data, sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional
        )
        return rows, *ends

    def _layers(
        self, rows, sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional
    ):
        states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        projected = len(states) == 2 and states[0].shape[-1] != states[1].shape[-1]
        weights = _grouped(self.name, params, has_biases, num_layers, bidirectional, projected)
        for own in weights:
            _check(self.name, rows, states, own[:2])
            _check_rows(self.name, *own[:2])
        for s in states:
            if s.shape[0] != len(weights):
                raise ShapeError(
                    f"{self.name}: a state {tuple(s.shape)} must have {len(weights)} parts, one "
                    "for each layer and direction"
                )
        if len({s.shape[1] for s in states}) > 1:
            raise ShapeError(
                f"{self.name}: the states differ in their number of sequences: "
                f"{[tuple(s.shape) for s in states]}"
            )
        # As in PyTorch, one state may stand for all sequences; another number of them is an error.
        if states[0].shape[1] != sizes[0]:
            states = tuple([s.expand(s.shape[0], sizes[0], s.shape[2]) for s in states])
        ends: list = []
        for layer in range(num_layers):
            found = []
            for reverse in (False, True)[: 1 + bool(bidirectional)]:
                k = len(ends)
                own = weights[k]
                drive = linear(rows, own[0], own[2] if len(own) > 3 else None)
                first = [s[k] for s in states]
                out, *last = self.run(drive, first, own, sizes=sizes, reverse=reverse)
                found.append(out)
                ends.append(last)
            rows = found[0] if len(found) == 1 else cat(found, 1)
            if dropout and train and layer < num_layers - 1:
                rows = _dropout(rows, dropout, True)
        return rows, [stack(s) for s in zip(*ends, strict=True)]


def _in_dtype_of_state(layers):
    """Wrap ``layers`` so that the results have the dtype of the first state, also under autocast.

    Autocast runs ``layers`` in float32.
    """

    def call(rows, sizes, hx, *more):
        out, ends = layers(rows, sizes, hx, *more)
        if out.dtype is hx.dtype:
            return out, ends
        return out.to(hx.dtype), [s.to(hx.dtype) for s in ends]

    return call


#: The networks by name. A name is a mode of ``nn.RNNBase`` in lower case.
NETWORKS = {
    "lstm": _Network("lstm", _lstm_direction),
    "gru": _Network("gru", _gru_direction, SINGLE),
    "rnn_tanh": _Network("rnn_tanh", _rnn_direction(False)),
    "rnn_relu": _Network("rnn_relu", _rnn_direction(True)),
}


@function(method=False)
def lstm(*args, **kwargs):
    """Run a long short-term memory (LSTM) of several layers: (output, last h, last c).

    ``lstm(input, (h, c), params, has_biases, num_layers, dropout, train, bidirectional,
    batch_first)``, or ``lstm(data, batch_sizes, (h, c), params, has_biases, num_layers, dropout,
    train, bidirectional)`` for packed sequences. See ``nn.LSTM``.

    Args:
        input: Tensor ``(steps, batch, features)``.
        data, batch_sizes: The parts of a ``PackedSequence``.
        hx: The first states h ``(layers · directions, batch, state)`` and c
            ``(layers · directions, batch, hidden)``.
        params: For each layer and direction the weights W_ih ``(4 · hidden, features)`` and W_hh
            ``(4 · hidden, state)``, their biases, and a projection ``(state, hidden)`` if h and c
            differ in size.
        has_biases: ``params`` have biases.
        num_layers: Number of layers.
        dropout: Probability that an element between two layers is dropped in training.
        train: Apply the dropout.
        bidirectional: Run each layer in both directions, with weights of their own.
        batch_first: ``input`` and output are ``(batch, steps, features)``.

    Returns:
        The output ``(steps, batch, directions · state)``, and the last states, in the shapes of h
        and c. For packed sequences the output has the rows of ``data``.

    >>> import rushlight as torch
    >>> weights = [torch.ones(4, 1), torch.ones(4, 1)]
    >>> h = c = torch.zeros(1, 1, 1)
    >>> torch.lstm(torch.ones(2, 1, 1), (h, c), weights, False, 1, 0.0, False, False, False)[1]
    tensor([[[0.6505]]])
    """
    return NETWORKS["lstm"](*args, **kwargs)


@function(method=False)
def gru(*args, **kwargs):
    """Run gated recurrent units (GRU) in several layers: (output, last h).

    ``gru(input, h, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)``,
    or ``gru(data, batch_sizes, h, params, has_biases, num_layers, dropout, train,
    bidirectional)`` for packed sequences. See ``nn.GRU``.

    Args:
        hx: The first state h ``(layers · directions, batch, hidden)``.
        params: For each layer and direction the weights W_ih ``(3 · hidden, features)`` and W_hh
            ``(3 · hidden, hidden)``, and their biases.
        input, data, batch_sizes: As for ``lstm``.
        has_biases, num_layers, dropout, train, bidirectional, batch_first: As for ``lstm``.

    Returns:
        The output ``(steps, batch, directions · hidden)``, and the last state, in the shape of h.

    >>> import rushlight as torch
    >>> weights = [torch.ones(3, 1), torch.ones(3, 1)]
    >>> h = torch.zeros(1, 1, 1)
    >>> torch.gru(torch.ones(1, 1, 1), h, weights, False, 1, 0.0, False, False, False)[1]
    tensor([[[0.2048]]])
    """
    return NETWORKS["gru"](*args, **kwargs)


@function(method=False)
def rnn_tanh(*args, **kwargs):
    """Run plain recurrent layers with tanh: (output, last h).

    Args:
        params: For each layer and direction the weights W_ih ``(hidden, features)`` and W_hh
            ``(hidden, hidden)``, and their biases.
        input, data, batch_sizes, hx: As for ``gru``.
        has_biases, num_layers, dropout, train, bidirectional, batch_first: As for ``lstm``.

    Returns:
        The output ``(steps, batch, directions · hidden)``, and the last state, in the shape of h.

    >>> import rushlight as torch
    >>> weights = [torch.ones(1, 1), torch.ones(1, 1)]
    >>> h = torch.zeros(1, 1, 1)
    >>> torch.rnn_tanh(torch.ones(1, 1, 1), h, weights, False, 1, 0.0, False, False, False)[1]
    tensor([[[0.7616]]])
    """
    return NETWORKS["rnn_tanh"](*args, **kwargs)


@function(method=False)
def rnn_relu(*args, **kwargs):
    """Run plain recurrent layers with relu: (output, last h).

    Args:
        input, data, batch_sizes, hx, params: As for ``rnn_tanh``.
        has_biases, num_layers, dropout, train, bidirectional, batch_first: As for ``lstm``.

    Returns:
        The output ``(steps, batch, directions · hidden)``, and the last state, in the shape of h.

    >>> import rushlight as torch
    >>> weights = [torch.ones(1, 1), torch.ones(1, 1)]
    >>> h = torch.zeros(1, 1, 1)
    >>> torch.rnn_relu(torch.ones(2, 1, 1), h, weights, False, 1, 0.0, False, False, False)[1]
    tensor([[[2.]]])
    """
    return NETWORKS["rnn_relu"](*args, **kwargs)


# Cells ------------------------------------------------------------------------------------


def _cell(name, run, written_out, input, states, w_ih, w_hh, b_ih, b_hh):
    """The states after one step of one layer, a list.

    ``run`` is the layer as one operation. ``written_out`` is the step as a function of tensors: of
    what the gates get from ``input``, what they get from the state h, and the states. It serves
    operands that the operation does not take, and that PyTorch promotes or broadcasts.
    """
    _check(name, input, states[:1], (w_ih, w_hh))
    _check_rows(name, w_ih, w_hh)
    wanted = input._array.shape[0], w_hh._array.shape[1]
    if input._array.shape[1] != w_ih._array.shape[1]:
        raise ShapeError(
            f"{name}: input has inconsistent input_size: got {input._array.shape[1]} expected "
            f"{w_ih._array.shape[1]}"
        )
    for i, s in enumerate(states):
        if s._array.shape != wanted:
            n, width = s._array.shape
            raise ShapeError(
                f"{name}: hidden{i} has inconsistent hidden_size: got {width}, expected {wanted[1]}"
                if width != wanted[1]
                else f"{name}: Input batch size {wanted[0]} doesn't match hidden{i} batch size {n}"
            )
    drive = linear(input, w_ih, b_ih)
    alike = all(s.dtype is input.dtype for s in states) and input.dtype.category > 1
    if not alike or not (b_hh is None or b_hh._array.shape == w_hh._array.shape[:1]):
        return written_out(drive, linear(states[0], w_hh, b_hh), *states)
    weights = (w_ih, w_hh) if b_hh is None else (w_ih, w_hh, b_ih, b_hh)
    _, *last = run(drive, states, weights, sizes=wanted[:1])
    return last


def _lstm_step(drive, met, h, c):
    taken, kept, new, shown = (drive + met).chunk(4, 1)
    c = kept.sigmoid() * c + taken.sigmoid() * new.tanh()
    return [shown.sigmoid() * c.tanh(), c]


def _gru_step(drive, met, h):
    reset, kept, new = zip(drive.chunk(3, 1), met.chunk(3, 1), strict=True)
    now = (new[0] + sum(reset).sigmoid() * new[1]).tanh()
    return [now + sum(kept).sigmoid() * (h - now)]


@function(method=False)
@autocasts(SINGLE)
def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """Take one step of a long short-term memory.

    Args:
        input: Tensor ``(batch, features)``.
        hx: Pair (h, c) of tensors ``(batch, hidden)``: the states before the step.
        w_ih: Tensor ``(4 · hidden, features)``: the weights of ``input``.
        w_hh: Tensor ``(4 · hidden, hidden)``: the weights of h.
        b_ih, b_hh: Tensors ``(4 · hidden)``: the biases. Default: none.

    Returns:
        Pair (h, c) of tensors ``(batch, hidden)``: the states after the step.

    Raises:
        RuntimeError: Shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> h = c = torch.zeros(1, 1)
    >>> torch.lstm_cell(torch.ones(1, 1), (h, c), torch.ones(4, 1), torch.ones(4, 1))[0]
    tensor([[0.3696]])
    """
    if isinstance(hx, Tensor) or not all(isinstance(s, Tensor) for s in hx):
        raise TypeError("lstm_cell(): argument 'hx' must be a pair of Tensors")
    if len(hx) != 2:
        raise RuntimeError(f"lstm_cell expects two hidden states, but got {len(hx)}")
    return tuple(_cell("lstm_cell", _lstm_direction, _lstm_step, input, hx, w_ih, w_hh, b_ih, b_hh))


@function(method=False)
@autocasts(SINGLE)
def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """Take one step of gated recurrent units.

    Args:
        input: Tensor ``(batch, features)``.
        hx: Tensor ``(batch, hidden)``: the state before the step.
        w_ih: Tensor ``(3 · hidden, features)``: the weights of ``input``.
        w_hh: Tensor ``(3 · hidden, hidden)``: the weights of ``hx``.
        b_ih, b_hh: Tensors ``(3 · hidden)``: the biases. Default: none.

    Returns:
        Tensor ``(batch, hidden)``: the state after the step.

    Raises:
        RuntimeError: Shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.gru_cell(torch.ones(1, 1), torch.zeros(1, 1), torch.ones(3, 1), torch.ones(3, 1))
    tensor([[0.2048]])
    """
    found = _cell("gru_cell", _gru_direction, _gru_step, input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]
    return found if hx.is_contiguous() else empty_like(hx).copy_(found)


@function(method=False)
def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """Compute tanh(w_ih input + b_ih + w_hh hx + b_hh), one step of a plain recurrent layer.

    Args:
        input: Tensor ``(batch, features)``.
        hx: Tensor ``(batch, hidden)``: the state before the step.
        w_ih: Tensor ``(hidden, features)``: the weights of ``input``.
        w_hh: Tensor ``(hidden, hidden)``: the weights of ``hx``.
        b_ih, b_hh: Tensors ``(hidden)``: the biases. Default: none.

    Returns:
        Tensor ``(batch, hidden)``: the state after the step.

    Raises:
        RuntimeError: Shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.rnn_tanh_cell(torch.ones(1, 1), torch.zeros(1, 1), torch.ones(1, 1), torch.ones(1, 1))
    tensor([[0.7616]])
    """
    step = lambda drive, met, h: [(drive + met).tanh()]
    run = _rnn_direction(False)
    found = _cell("rnn_tanh_cell", run, step, input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]
    return watch(found, found)


@function(method=False)
def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """Compute relu(w_ih input + b_ih + w_hh hx + b_hh), one step of a plain recurrent layer.

    Args:
        input, hx, w_ih, w_hh, b_ih, b_hh: As for ``rnn_tanh_cell``.

    Returns:
        Tensor ``(batch, hidden)``: the state after the step.

    Raises:
        RuntimeError: Shapes or dtypes do not fit.

    >>> import rushlight as torch
    >>> torch.rnn_relu_cell(torch.ones(1, 1), torch.ones(1, 1), torch.ones(1, 1), torch.ones(1, 1))
    tensor([[2.]])
    """
    step = lambda drive, met, h: [(drive + met).relu()]
    run = _rnn_direction(True)
    found = _cell("rnn_relu_cell", run, step, input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]
    return watch(found, found)
