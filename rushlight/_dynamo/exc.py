"""torch._dynamo.exc: errors of PyTorch's tracer, for programs that catch them."""

__all__ = ["TensorifyScalarRestartAnalysis", "TorchDynamoException", "TorchRuntimeError"]


class TorchDynamoException(RuntimeError):
    """The base of the errors of PyTorch's tracer. rushlight raises none of them."""


class TorchRuntimeError(TorchDynamoException):
    """The error of an operation that PyTorch's tracer tried."""


class TensorifyScalarRestartAnalysis(TorchDynamoException):
    """PyTorch's tracer begins again."""
