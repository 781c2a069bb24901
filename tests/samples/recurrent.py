"""Samples of recurrent networks, their cells, and bags of embeddings."""

# A table: one sample a line.
# fmt: off

import warnings

from tests.samples.sample import floats, sample

_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
_PACKED = (3, 2, 2, 1)


def _states(name, *shape):
    return [floats(*shape, seed=k) for k in range(1 + (name == "lstm"))]


def _weights(name, features, hidden, bias, both, projected=0):
    """The weights of one layer, in one or both directions."""
    gates, found = _GATES[name] * hidden, []
    for k in range(1 + both):
        found += [floats(gates, features, low=-1, high=1, seed=10 + k), floats(gates, projected or hidden, low=-1, high=1, seed=20 + k)]
        found += [floats(gates, low=-1, high=1, seed=30 + k), floats(gates, low=-1, high=1, seed=40 + k)] if bias else []
        found += [floats(projected, hidden, seed=50)] if projected else []
    return found


def _network(name, batch_sizes=None, bias=True, both=False):
    """A call of a network; packed where ``batch_sizes`` are given."""
    n = 1 + (name == "lstm")

    def call(t, x, *rest):
        hx, weights = tuple(rest[:n]) if n > 1 else rest[0], list(rest[n:])
        if batch_sizes is None:
            return getattr(t, name)(x, hx, weights, bias, 1, 0.0, False, both, False)
        return getattr(t, name)(x, t.tensor(batch_sizes), hx, weights, bias, 1, 0.0, False, both)

    return call


def _cell(name):
    n = 1 + (name == "lstm")
    return lambda t, x, *rest: getattr(t, name + "_cell")(x, tuple(rest[:n]) if n > 1 else rest[0], *rest[n:])


for _name in _GATES:
    _kw = {"second": _name != "rnn_relu"}
    sample(_name, _network(_name), floats(3, 2, 3), *_states(_name, 1, 2, 2), *_weights(_name, 3, 2, True, False), **_kw)
    sample(_name, _network(_name, bias=False, both=True), floats(3, 2, 2), *_states(_name, 2, 2, 2), *_weights(_name, 2, 2, False, True), **_kw)
    sample(_name, _network(_name, _PACKED, both=True), floats(8, 2), *_states(_name, 2, 3, 2), *_weights(_name, 2, 2, True, True), **_kw, trace=False)
    sample(_name + "_cell", _cell(_name), floats(2, 3), *_states(_name, 2, 2), *_weights(_name, 3, 2, True, False), **_kw)


def _projected(t, *args):
    if t.__name__ == "rushlight":  # no program may switch warnings
        return _network("lstm")(t, *args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's, that it takes another implementation
        return _network("lstm")(t, *args)


sample("lstm", _projected, floats(3, 2, 3), floats(1, 2, 1), floats(1, 2, 2), *_weights("lstm", 3, 2, True, False, projected=1))
