"""``torch.hub``: call entry points of local repositories, and load state dicts from files.

Nothing is fetched from the network: a repository must be a folder, and a URL must be ``file:``.
"""

import hashlib
import importlib.util
import os
import re
import sys
import uuid
from urllib.parse import urlparse
from urllib.request import url2pathname

from rushlight.serialization import load as load_file

__all__ = [
    "download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url",
    "set_dir",
]  # fmt: skip

#: The part of a file name that is a hash of the file.
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
_dir: str | None = None

OFFLINE = "{}: rushlight fetches nothing from the network; {}"


def _get_torch_home():
    """The folder ``$TORCH_HOME``, by default ``~/.cache/torch``."""
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    return os.path.expanduser(os.environ.get("TORCH_HOME", os.path.join(cache, "torch")))


def get_dir():
    """Return the folder of downloaded files: that of ``set_dir``, or ``$TORCH_HOME/hub``.

    Returns:
        Name of the folder. Without ``$TORCH_HOME`` it is ``~/.cache/torch/hub``.

    >>> import rushlight as torch
    >>> torch.hub.get_dir().endswith("hub")
    True
    """
    if _dir is not None:
        return _dir
    return os.path.join(_get_torch_home(), "hub")


def set_dir(d):
    """Keep downloaded files in a folder.

    Args:
        d: Name of the folder; ``~`` is the home folder.

    >>> import rushlight as torch
    >>> before = torch.hub.get_dir()
    >>> torch.hub.set_dir("kept")
    >>> torch.hub.get_dir()
    'kept'
    >>> torch.hub.set_dir(before)
    """
    global _dir
    _dir = os.path.expanduser(d)


# Repositories -----------------------------------------------------------------------------


def load(
    repo_or_dir, model, *args, source="github", trust_repo="check", force_reload=False,
    verbose=True, skip_validation=False, **kwargs,
):  # fmt: skip
    """Call an entry point of the repository in a folder.

    Args:
        repo_or_dir: The folder, whose ``hubconf.py`` has the entry point.
        model: Name of the entry point, a function.
        *args, **kwargs: Arguments of the entry point.
        source: ``"github"`` or ``"local"``; both expect a folder. Default: ``"github"``.
        trust_repo, force_reload, verbose, skip_validation: Accepted without effect.

    Returns:
        The result of the entry point.

    Raises:
        ValueError: ``source`` is neither "github" nor "local".
        RuntimeError: the entry point or a dependency is missing; or ``source`` is "github", and
            ``repo_or_dir`` is no folder.

    >>> import pathlib, tempfile, rushlight as torch
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> text = "def layer(n):\\n    import rushlight\\n    return rushlight.nn.Linear(n, 1)"
    >>> _ = (folder / "hubconf.py").write_text(text)
    >>> torch.hub.load(folder, "layer", 3, source="local")
    Linear(in_features=3, out_features=1, bias=True)
    """
    source = source.lower()
    if source not in ("github", "local"):
        raise ValueError(
            f'hub.load: Unknown source: "{source}". Allowed values: "github" | "local".'
        )
    folder = repo_or_dir if source == "local" else _github("load", repo_or_dir)
    with _Repository(folder) as hubconf:
        return _entry(hubconf, model)(*args, **kwargs)


def list(github, force_reload=False, skip_validation=False, trust_repo="check", verbose=True):
    """Return the names of the entry points of the repository in a folder.

    Args:
        github: The folder.
        force_reload, skip_validation, trust_repo, verbose: Accepted without effect.

    Returns:
        List of names.

    Raises:
        RuntimeError: ``github`` is no folder.

    >>> import pathlib, tempfile, rushlight as torch
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "hubconf.py").write_text('def layer(n):\\n    "A layer."')
    >>> torch.hub.list(folder)
    ['layer']
    """
    with _Repository(_github("list", github)) as hubconf:
        return [
            name
            for name, value in vars(hubconf).items()
            if callable(value) and not name.startswith("_")
        ]


def help(github, model, force_reload=False, skip_validation=False, trust_repo="check"):
    """Return the docstring of an entry point of the repository in a folder.

    Args:
        github: The folder.
        model: Name of the entry point.
        force_reload, skip_validation, trust_repo: Accepted without effect.

    Returns:
        The docstring, or None.

    Raises:
        RuntimeError: ``github`` is no folder, or the entry point does not exist.

    >>> import pathlib, tempfile, rushlight as torch
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "hubconf.py").write_text('def layer(n):\\n    "A layer."')
    >>> torch.hub.help(folder, "layer")
    'A layer.'
    """
    with _Repository(_github("help", github)) as hubconf:
        return _entry(hubconf, model).__doc__


def _github(name, repository):
    """Return ``repository`` if it is a folder; refuse a repository on GitHub."""
    if os.path.isdir(repository):
        return repository
    hint = "download the repository, and pass its folder"
    if name == "load":
        hint += ' with source="local"'
    raise RuntimeError(OFFLINE.format(f"hub.{name}: {repository!r} is on GitHub", hint))


class _Repository:
    """A context that imports ``hubconf.py`` of a folder.

    Inside the ``with`` block the module can import other modules in the folder.
    """

    def __init__(self, folder):
        self.folder = os.path.abspath(os.path.expanduser(os.fspath(folder)))

    def __enter__(self):
        sys.path.insert(0, self.folder)
        try:
            path = os.path.join(self.folder, "hubconf.py")
            spec = importlib.util.spec_from_file_location("hubconf", path)
            module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
            spec.loader.exec_module(module)  # type: ignore[union-attr]
        except BaseException:
            self.__exit__()
            raise
        return module

    def __exit__(self, *exc):
        if self.folder in sys.path:
            sys.path.remove(self.folder)


def _entry(hubconf, name):
    """Return the entry point ``name``; raise an error if a dependency of ``hubconf`` is missing."""
    if not isinstance(name, str):
        raise ValueError(f"hub: the name of an entry point must be a string, got {name!r}")
    missing = [
        d for d in getattr(hubconf, "dependencies", ()) if importlib.util.find_spec(d) is None
    ]
    if missing:
        raise RuntimeError(f"hub: Missing dependencies: {', '.join(missing)}")
    found = getattr(hubconf, name, None)
    if not callable(found):
        raise RuntimeError(f"hub: Cannot find callable {name} in hubconf")
    return found


# Files ------------------------------------------------------------------------------------


def load_state_dict_from_url(
    url, model_dir=None, map_location=None, progress=True, check_hash=False, file_name=None,
    weights_only=False,
):  # fmt: skip
    """Load the object that ``torch.save`` wrote to the file at a ``file:`` URL.

    The file is copied and loaded from there. If the folder has a file of that name already, it is
    loaded whatever the URL is.

    Args:
        url: The address, which begins with ``file:``.
        model_dir: The folder for the copy. Default: ``checkpoints`` in ``get_dir()``.
        map_location: As for ``torch.load``. Default: None.
        progress: Accepted without effect.
        check_hash: Check the content when the file is copied. The name is like
            ``model-1a2b3c4d.pt`` and holds the first hexadecimal digits of the content's SHA-256.
            Default: False.
        file_name: Name of the copy. Default: the last part of the URL.
        weights_only: As for ``torch.load``. Default: False.

    Returns:
        The loaded object.

    Raises:
        RuntimeError: the URL is not ``file:``, or the hash is wrong.

    >>> import pathlib, tempfile, rushlight as torch
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> torch.save({"w": torch.ones(2)}, folder / "model.pt")
    >>> url = (folder / "model.pt").as_uri()
    >>> torch.hub.load_state_dict_from_url(url, model_dir=folder / "kept")
    {'w': tensor([1., 1.])}
    """
    folder = os.path.join(get_dir(), "checkpoints") if model_dir is None else model_dir
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    kept = os.path.join(folder, name)
    if not os.path.exists(kept):
        found = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, kept, found.group(1) if found else None, progress=progress)
    return load_file(kept, map_location=map_location, weights_only=weights_only)


def download_url_to_file(url, dst, hash_prefix=None, progress=True):
    """Copy the file at a ``file:`` URL to ``dst``.

    If the copy fails, ``dst`` is unchanged.

    Args:
        url: The address, which begins with ``file:``.
        dst: Name of the new file.
        hash_prefix: The first hexadecimal digits of the content's SHA-256. Default: no check.
        progress: Accepted without effect.

    Raises:
        RuntimeError: The URL is not ``file:``, or the SHA-256 does not begin with ``hash_prefix``.

    >>> import pathlib, tempfile, rushlight as torch
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a").write_text("text")
    >>> torch.hub.download_url_to_file((folder / "a").as_uri(), folder / "b")
    >>> (folder / "b").read_text()
    'text'
    """
    parts = urlparse(url)
    if parts.scheme != "file":
        hint = f"download it, and put it at {os.fspath(dst)} or give its file: address"
        raise RuntimeError(OFFLINE.format(url, hint))
    dst = os.path.expanduser(os.fspath(dst))
    digest = hashlib.sha256()
    partial = f"{dst}.{uuid.uuid4().hex}.partial"
    try:
        with open(url2pathname(parts.path), "rb") as file, open(partial, "wb") as out:
            while block := file.read(1 << 20):
                digest.update(block)
                out.write(block)
        if hash_prefix and not digest.hexdigest().startswith(hash_prefix):
            raise RuntimeError(
                f'{url}: invalid hash value (expected "{hash_prefix}", got "{digest.hexdigest()}")'
            )
        os.replace(partial, dst)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
