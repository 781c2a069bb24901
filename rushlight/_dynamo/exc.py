"""torch._dynamo.exc: errors of PyTorch's tracer, for programs that catch them."""

__all__ = [
    "InvalidBackend",
    "TensorifyScalarRestartAnalysis",
    "TorchDynamoException",
    "TorchRuntimeError",
]


class TorchDynamoException(RuntimeError):
    """The base of the errors of PyTorch's tracer. of these rushlight raises ``InvalidBackend``."""


class InvalidBackend(TorchDynamoException):
    """``torch.compile`` was asked for a backend that has no such name."""


class TorchRuntimeError(TorchDynamoException):
    """The error of an operation that PyTorch's tracer tried."""


class TensorifyScalarRestartAnalysis(TorchDynamoException):
    """PyTorch's tracer begins again."""
