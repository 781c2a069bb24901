"""torch.utils.data.datapipes.iter.filelister: the paths of files."""

from rushlight.utils.data.datapipes._decorator import functional_datapipe
from rushlight.utils.data.datapipes.datapipe import IterDataPipe
from rushlight.utils.data.datapipes.iter.utils import IterableWrapperIterDataPipe
from rushlight.utils.data.datapipes.utils.common import get_file_pathnames_from_root

__all__ = ["FileListerIterDataPipe"]


@functional_datapipe("list_files")
class FileListerIterDataPipe(IterDataPipe):
    """The paths of the files in folders: ``pipe.list_files()``.

    Args:
        root: A folder, or a sequence or pipe of folders. Default: the current one.
        masks: A pattern of file names, or a list of them, as in a shell. Default: all files.
        recursive: Look into inner folders, too. Default: False.
        abspath: Give absolute paths. Default: False.
        non_deterministic: Leave out the sorting. Default: False.
        length: The length that ``len()`` tells. Default: it raises TypeError.

    >>> import pathlib, tempfile
    >>> from rushlight.utils.data.datapipes.iter import FileLister
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     pathlib.Path(folder, "a.txt").touch()
    ...     [pathlib.Path(path).name for path in FileLister(folder, "*.txt")]
    ['a.txt']
    """

    def __init__(
        self, root=".", masks="", *, recursive=False, abspath=False, non_deterministic=False,
        length=-1,
    ):  # fmt: skip
        super().__init__()
        root = [root] if isinstance(root, str) else root
        self.datapipe = (
            root if isinstance(root, IterDataPipe) else IterableWrapperIterDataPipe(root)
        )
        self.masks = masks
        self.recursive = recursive
        self.abspath = abspath
        self.non_deterministic = non_deterministic
        self.length = length

    def __iter__(self):
        for path in self.datapipe:
            yield from get_file_pathnames_from_root(
                path, self.masks, self.recursive, self.abspath, self.non_deterministic
            )

    def __len__(self):
        if self.length == -1:
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        return self.length
