"""torch.utils.data.datapipes.iter.routeddecoder: a step that is not there."""

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import IterDataPipe

__all__ = ["RoutedDecoderIterDataPipe"]


@functional_datapipe("routed_decode")
class RoutedDecoderIterDataPipe(IterDataPipe):
    """PyTorch's step that decodes files by the ends of their names.

    Raises:
        NotImplementedError: always; ``pipe.map`` with a function that decodes does the same.
    """

    def __init__(self, datapipe, *handlers, key_fn=None):
        raise NotImplementedError(
            "routed_decode: there are no decoders by the ends of names; use pipe.map(decode)"
        )
