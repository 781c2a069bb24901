"""torch.utils.data.datapipes.iter.fileopener: the step that opens files."""

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import IterDataPipe
from rushlight.utils.data.datapipes.utils.common import get_file_binaries_from_pathnames

__all__ = ["FileOpenerIterDataPipe"]


@functional_datapipe("open_files")
class FileOpenerIterDataPipe(IterDataPipe):
    """Open files: ``pipe.open_files()`` gives tuples (path, file).

    Args:
        datapipe: The source, an iterable of paths.
        mode: ``"r"``, ``"rb"``, ``"rt"``, ``"b"`` or ``"t"``. Default: ``"r"``.
        encoding: The encoding of text. Default: the system's.
        length: The length that ``len()`` tells. Default: it raises TypeError.

    Raises:
        ValueError: ``mode`` is another one, or there is an encoding of bytes.

    >>> from rushlight.utils.data.datapipes.iter import FileOpener
    >>> FileOpener([], mode="rb")
    FileOpenerIterDataPipe
    """

    def __init__(self, datapipe, mode="r", encoding=None, length=-1):
        super().__init__()
        if mode not in ("b", "t", "rb", "rt", "r"):
            raise ValueError(f"Invalid mode {mode}")
        if "b" in mode and encoding is not None:
            raise ValueError("binary mode doesn't take an encoding argument")
        self.datapipe = datapipe
        self.mode = mode
        self.encoding = encoding
        self.length = length

    def __iter__(self):
        yield from get_file_binaries_from_pathnames(self.datapipe, self.mode, self.encoding)

    def __len__(self):
        if self.length == -1:
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        return self.length
