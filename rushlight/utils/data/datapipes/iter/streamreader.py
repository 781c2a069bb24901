"""torch.utils.data.datapipes.iter.streamreader: the step that reads files."""

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import IterDataPipe

__all__ = ["StreamReaderIterDataPipe"]


@functional_datapipe("read_from_stream")
class StreamReaderIterDataPipe(IterDataPipe):
    """Read opened files: ``pipe.read_from_stream()``.

    Args:
        datapipe: The source, a stream of tuples (path, file).
        chunk: Number of bytes or characters in a sample. Default: the whole file.

    >>> import io
    >>> from rushlight.utils.data.datapipes.iter import IterableWrapper
    >>> files = IterableWrapper([("a", io.StringIO("abc"))])
    >>> list(files.read_from_stream(2))
    [('a', 'ab'), ('a', 'c')]
    """

    def __init__(self, datapipe, chunk=None):
        self.datapipe = datapipe
        self.chunk = chunk

    def __iter__(self):
        for path, stream in self.datapipe:
            while content := stream.read(self.chunk):
                yield path, content
            stream.close()
