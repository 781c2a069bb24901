"""Modules whose weights are integers, and whose inputs become integers at each call."""

from rushlight.ao.nn.quantized.dynamic.linear import Linear
from rushlight.ao.nn.quantized.dynamic.rnn import GRU, LSTM, GRUCell, LSTMCell, RNNCell

__all__ = ["GRU", "LSTM", "GRUCell", "LSTMCell", "Linear", "RNNCell"]
