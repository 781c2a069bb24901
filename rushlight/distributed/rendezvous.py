"""How processes find each other: from a URL, or from the environment, to a store."""

import os
from urllib.parse import parse_qs, urlparse

from rushlight.distributed.constants import default_pg_timeout
from rushlight.distributed.store import FileStore
from rushlight.distributed.tcp_store import TCPStore

__all__ = ["expected_size", "register_rendezvous_handler", "rendezvous"]

_handlers: dict = {}


def register_rendezvous_handler(scheme, handler):
    """Register how a scheme of URLs gives a store.

    Args:
        scheme: The part of the URL before ``://``.
        handler: A function of the URL that yields tuples of a store, a rank and a world size.

    Raises:
        RuntimeError: The scheme has a handler.

    >>> import rushlight as torch
    >>> def alone(url, **options):
    ...     yield torch.distributed.HashStore(), 0, 1
    >>> torch.distributed.register_rendezvous_handler("alone", alone)
    """
    if scheme in _handlers:
        raise RuntimeError(f"Rendezvous handler for {scheme}:// already registered")
    _handlers[scheme] = handler


def rendezvous(url, rank=-1, world_size=-1, **kwargs):
    """Find the other processes.

    Args:
        url: ``env://``, ``tcp://host:port`` or ``file:///path``; ``?rank=0&world_size=1`` may
            follow.
        rank: The rank of this process, if the URL does not have it.
        world_size: The number of processes, if the URL does not have it.

    Returns:
        A generator of tuples ``(store, rank, world_size)``.

    Raises:
        RuntimeError: ``url`` is no text, or its scheme is unknown.
        ValueError: Something is missing.

    >>> import rushlight as torch, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store, rank, size = next(torch.distributed.rendezvous(f"file://{folder}/s", 0, 1))
    >>> rank, size
    (0, 1)
    """
    if not isinstance(url, str):
        raise RuntimeError(f"`url` must be a string. {type(url)}: {url}")
    parts = urlparse(url)
    query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
    for name, value in ("rank", rank), ("world_size", world_size):
        if value != -1:
            query.setdefault(name, str(value))
    if parts.scheme not in _handlers:
        raise RuntimeError(f"No rendezvous handler for {parts.scheme}://")
    if parts.scheme not in _OWN:
        return iter(_handlers[parts.scheme](_rebuilt(parts, query), **kwargs))
    return iter(_handlers[parts.scheme](parts, query, **kwargs))


def expected_size(url, world_size):
    """The number of processes as far as it is known before they find each other; otherwise 0."""
    told = parse_qs(urlparse(url).query).get("world_size", [world_size])[-1]
    if told == -1 and url.startswith("env://"):
        told = os.environ.get("WORLD_SIZE", 0)
    return int(told)


def _rebuilt(parts, query):
    return parts._replace(query="&".join(f"{k}={v}" for k, v in query.items())).geturl()


def _number(scheme, query, name):
    if name not in query:
        words = name.replace("_", " ")
        raise _missing(scheme, f"{words} parameter missing")
    return int(query[name])


def _missing(scheme, what):
    return ValueError(f"Error initializing torch.distributed using {scheme}:// rendezvous: {what}")


def _from_file(parts, query, **_):
    if not parts.path:
        raise _missing("file", "path missing")
    rank, size = _number("file", query, "rank"), _number("file", query, "world_size")
    yield FileStore(parts.path, size), rank, size


def _from_tcp(parts, query, timeout=default_pg_timeout, **_):
    if not parts.port:
        raise _missing("tcp", "port number missing")
    rank, size = _number("tcp", query, "rank"), _number("tcp", query, "world_size")
    yield _open(parts.hostname, parts.port, rank, size, timeout), rank, size


def _open(host, port, rank, size, timeout):
    # A process that would not get further than the world size may not wait for others here.
    return TCPStore(host, port, size, rank == 0, timeout, wait_for_workers=False, multi_tenant=True)


def _from_environment(parts, query, timeout=default_pg_timeout, **_):
    def ask(name):
        if name not in os.environ:
            raise _missing("env", f"environment variable {name} expected, but not set")
        return os.environ[name]

    rank = int(query.get("rank") or ask("RANK"))
    size = int(query.get("world_size") or ask("WORLD_SIZE"))
    host, port = ask("MASTER_ADDR"), int(ask("MASTER_PORT"))
    yield _open(host, port, rank, size, timeout), rank, size


_OWN = {"file": _from_file, "tcp": _from_tcp, "env": _from_environment}
_handlers.update(_OWN)
