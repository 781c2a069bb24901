"""Images in folders, a folder for each class."""

import os

from rushlight.vision.datasets.vision import VisionDataset
from rushlight.vision.images import pillow

__all__ = [
    "IMG_EXTENSIONS", "DatasetFolder", "ImageFolder", "default_loader", "find_classes",
    "has_file_allowed_extension", "is_image_file", "make_dataset", "pil_loader",
]  # fmt: skip

IMG_EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp",
)  # fmt: skip


def has_file_allowed_extension(filename, extensions):
    """Whether the name ends in one of ``extensions``, in lower or upper case."""
    wanted = extensions if isinstance(extensions, str) else tuple(extensions)
    return filename.lower().endswith(wanted)


def is_image_file(filename):
    """Whether the name ends in the extension of an image file."""
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def pil_loader(path):
    """The image of a file, as Pillow's RGB."""
    with open(path, "rb") as file:
        return pillow().open(file).convert("RGB")


default_loader = pil_loader


def find_classes(directory):
    """(the names of the folders in ``directory``, in order; the number of each).

    Raises:
        FileNotFoundError: there is no folder.
    """
    classes = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    if not classes:
        raise FileNotFoundError(f"Couldn't find any class folder in {directory}.")
    return classes, {name: i for i, name in enumerate(classes)}


def make_dataset(
    directory, class_to_idx=None, extensions=None, is_valid_file=None, allow_empty=False
):
    """[(path, number of the class), …] of the files under ``directory``, in order.

    Raises:
        ValueError: not exactly one of ``extensions`` and ``is_valid_file`` is given, or
            ``class_to_idx`` is empty.
        FileNotFoundError: a class has no file, unless ``allow_empty``.
    """
    directory = os.path.expanduser(directory)
    if class_to_idx is None:
        _, class_to_idx = find_classes(directory)
    if not class_to_idx:
        raise ValueError("make_dataset: class_to_idx must have at least one entry")
    if (extensions is None) == (is_valid_file is None):
        raise ValueError("make_dataset: give either extensions or is_valid_file")
    valid = is_valid_file or (lambda path: has_file_allowed_extension(path, extensions))
    samples, empty = [], []
    for name in sorted(class_to_idx):
        found = [path for path in _files(os.path.join(directory, name)) if valid(path)]
        samples += [(path, class_to_idx[name]) for path in found]
        if not found:
            empty.append(name)
    if empty and not allow_empty:
        supported = extensions if isinstance(extensions, str) else ", ".join(extensions or ())
        hint = f" Supported extensions are: {supported}" if extensions is not None else ""
        raise FileNotFoundError(f"Found no valid file for the classes {', '.join(empty)}.{hint}")
    return samples


def _files(folder):
    for root, _, names in sorted(os.walk(folder, followlinks=True)):
        for name in sorted(names):
            yield os.path.join(root, name)


class DatasetFolder(VisionDataset):
    """Files in ``root/class/…``, read by a function.

    ``samples`` is a list of (path, number of the class). A sample is the function's result and an
    int.

    Args:
        loader: Function of a path that returns an image or any other object.
        extensions: Tuple of the endings of file names that count, such as ``(".png",)``.
            Default: None; then ``is_valid_file`` is needed.
        is_valid_file: Function of a path that tells whether the file counts. Default: None; then
            ``extensions`` is needed.
        allow_empty: Let a class have no files. Default: False.

    Raises:
        FileNotFoundError: there is no class, or one has no file (unless ``allow_empty``).
        ValueError: not exactly one of ``extensions`` and ``is_valid_file`` is given.

    >>> import pathlib, tempfile
    >>> from rushlight.vision.datasets import DatasetFolder
    >>> with tempfile.TemporaryDirectory() as root:
    ...     pathlib.Path(root, "greetings").mkdir()
    ...     _ = pathlib.Path(root, "greetings", "a.txt").write_text("hello")
    ...     DatasetFolder(root, lambda path: pathlib.Path(path).read_text(), (".txt",))[0]
    ('hello', 0)
    """

    def __init__(
        self, root, loader, extensions=None, transform=None, target_transform=None,
        is_valid_file=None, allow_empty=False,
    ):  # fmt: skip
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self.extensions = extensions
        self.classes, self.class_to_idx = self.find_classes(self.root)
        self.samples = self.make_dataset(
            self.root, self.class_to_idx, extensions, is_valid_file, allow_empty
        )
        self.targets = [target for _, target in self.samples]

    @staticmethod
    def make_dataset(
        directory, class_to_idx, extensions=None, is_valid_file=None, allow_empty=False
    ):
        """List the samples; a subclass may override this method.

        Args:
            directory: The folder.
            class_to_idx: Dict from the names of classes to their numbers.
            extensions, is_valid_file, allow_empty: As for the class.

        Returns:
            List of (path, number of the class).
        """
        if class_to_idx is None:
            raise ValueError("DatasetFolder.make_dataset: class_to_idx must not be None")
        return make_dataset(directory, class_to_idx, extensions, is_valid_file, allow_empty)

    def find_classes(self, directory):
        """Return the classes and their numbers; a subclass may override this method.

        Args:
            directory: The folder.

        Returns:
            The sorted list of names, and the dict from names to numbers.
        """
        return find_classes(directory)

    def __getitem__(self, index):
        path, target = self.samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self):
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Images in ``root/class/…``.

    Args:
        loader: Function of a path that returns an image. Default: read an RGB image with Pillow.
        is_valid_file: Function of a path that tells whether the file counts. Default: the endings
            of image files count.
        allow_empty: Let a class have no files. Default: False.

    >>> import pathlib, tempfile
    >>> from PIL import Image
    >>> from rushlight.vision.datasets import ImageFolder
    >>> with tempfile.TemporaryDirectory() as root:
    ...     for name in ("cat", "dog"):
    ...         pathlib.Path(root, name).mkdir()
    ...         Image.new("RGB", (4, 4)).save(pathlib.Path(root, name, "0.png"))
    ...     images = ImageFolder(root)
    ...     image, target = images[1]
    >>> images.class_to_idx, image.size, target
    ({'cat': 0, 'dog': 1}, (4, 4), 1)
    """

    def __init__(
        self, root, transform=None, target_transform=None, loader=default_loader,
        is_valid_file=None, allow_empty=False,
    ):  # fmt: skip
        super().__init__(
            root, loader, IMG_EXTENSIONS if is_valid_file is None else None, transform,
            target_transform, is_valid_file, allow_empty,
        )  # fmt: skip
        self.imgs = self.samples
