"""TCPStore: a store in one process, which others read and write over TCP."""

import contextlib
import datetime
import io
import pickle
import socket
import socketserver
import struct
import threading
import time
from typing import Any

from rushlight import locks
from rushlight.distributed.errors import DistNetworkError, DistStoreError, QueueEmptyError
from rushlight.distributed.store import DEFAULT_TIMEOUT, HashStore, Store

__all__ = ["TCPStore"]

#: What clients may ask of the server's HashStore.
_CALLS = frozenset(
    [
        "set",
        "get",
        "add",
        "append",
        "compare_set",
        "check",
        "wait",
        "delete_key",
        "num_keys",
        "list_keys",
        "queue_push",
        "queue_pop",
        "queue_len",
    ]
)
_JOINED = "init/"  # the key that counts the clients
_ERRORS = {e.__name__: e for e in (DistStoreError, QueueEmptyError, TypeError, ValueError)}


def _send(connection, message):
    data = _packed(message)
    connection.sendall(struct.pack("!Q", len(data)) + data)


def _packed(message):
    return pickle.dumps(message, protocol=4)


def _receive(connection):
    (size,) = struct.unpack("!Q", _read(connection, 8))
    return _Plain(_read(connection, size)).load()


def _read(connection, size):
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(size - len(parts))
        if not part:
            raise ConnectionError("the connection was closed")
        parts += part
    return bytes(parts)


class _Plain(pickle.Unpickler):
    """Reads numbers, texts, bytes, lists and tuples. Nothing that comes over TCP can run code."""

    def __init__(self, data):
        super().__init__(io.BytesIO(data))

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"a store sends no {module}.{name}")


class _Handler(socketserver.BaseRequestHandler):
    """Answers the calls of one client, until it closes the connection."""

    server: Any

    def handle(self):
        store = self.server.items.clone()
        with contextlib.suppress(ConnectionError, struct.error, OSError, pickle.UnpicklingError):
            while True:
                name, seconds, args = _receive(self.request)
                store.set_timeout(datetime.timedelta(seconds=seconds))
                _send(self.request, _answer(store, name, args))


def _answer(store, name, args):
    if name not in _CALLS:
        return "ValueError", f"a store has no {name}"
    try:
        return "", getattr(store, name)(*args)
    except tuple(_ERRORS.values()) as error:
        return type(error).__name__, str(error)


class _Server(socketserver.ThreadingTCPServer):
    items: HashStore
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True


class TCPStore(Store):
    """A store that one process holds, and that others read and write over TCP.

    Only processes of rushlight can share it, because PyTorch's stores send other messages.

    Args:
        host_name: The name or address of the process that holds it.
        port: Its port. 0 with ``is_master`` takes a free one; ``port`` tells which.
        world_size: How many processes use it. Default: unknown.
        is_master: Whether this process holds the store.
        timeout: How long to wait for connections and keys.
        wait_for_workers: Whether the master waits until ``world_size`` processes are connected.
        multi_tenant: Whether to share a server that this process has on the port already.
        master_listen_fd: The descriptor of a socket that listens already.
        use_libuv: Accepted without effect.

    Raises:
        DistNetworkError: The port is taken, or nothing answers there.
        DistStoreError: Not all processes came in time.

    >>> import rushlight as torch
    >>> store = torch.distributed.TCPStore("127.0.0.1", 0, 1, is_master=True)
    >>> other = torch.distributed.TCPStore("127.0.0.1", store.port)
    >>> store.set("key", "value")
    >>> other.get("key")
    b'value'
    """

    _servers: dict = {}

    def __init__(
        self, host_name, port, world_size=None, is_master=False, timeout=DEFAULT_TIMEOUT,
        wait_for_workers=True, multi_tenant=False, master_listen_fd=None, use_libuv=True,
    ):  # fmt: skip
        self._timeout = timeout
        self.host = host_name
        self.libuvBackend = use_libuv
        self._lock = locks.new_lock()
        self._server: Any = None
        self._connection: Any = None
        if is_master:
            self._server = self._serve(port, multi_tenant, master_listen_fd)
            port = self._server.server_address[1]
        self.port = port
        self._connection = self._connect()
        if world_size is not None and wait_for_workers:
            self._join(world_size, is_master)

    def _serve(self, port, shared, descriptor):
        if shared and port in self._servers:
            return self._servers[port]
        try:
            own = self.host if self.host in ("localhost", "127.0.0.1") else ""
            server = _Server((own, port), _Handler, bind_and_activate=descriptor is None)
        except OSError as error:
            raise DistNetworkError(
                "The server socket has failed to listen on any local network address. port: "
                f"{port}, {error.strerror}. Choose another port (MASTER_PORT)"
            ) from error
        if descriptor is not None:
            server.socket.close()
            server.socket = socket.socket(fileno=descriptor)
            server.server_address = server.socket.getsockname()
        server.items = HashStore()
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        if shared:
            self._servers[server.server_address[1]] = server
        return server

    def _connect(self):
        seconds = self._timeout.total_seconds()
        end = time.monotonic() + seconds
        while True:
            try:
                return socket.create_connection((self.host, self.port), timeout=seconds)
            except OSError as error:
                if time.monotonic() >= end:
                    raise DistNetworkError(
                        f"The client socket has timed out after {round(seconds * 1000)}ms while "
                        f"trying to connect to ({self.host}, {self.port})."
                    ) from error
                time.sleep(0.05)

    def _join(self, world_size, is_master):
        joined = self.add(_JOINED, 1)
        end = time.monotonic() + self._timeout.total_seconds()
        while is_master and joined < world_size:
            if time.monotonic() >= end:
                raise DistStoreError(
                    f"Timed out after {round(self._timeout.total_seconds())} seconds waiting for "
                    f"clients. {joined}/{world_size} clients joined."
                )
            time.sleep(0.02)
            joined = self.add(_JOINED, 0)

    def _call(self, name, *args, timeout=None):
        seconds = (timeout or self._timeout).total_seconds()
        with self._lock:
            try:
                self._connection.settimeout(seconds + 30)
                _send(self._connection, (name, seconds, args))
                error, found = _receive(self._connection)
            except (OSError, struct.error) as failure:
                raise DistNetworkError(f"The connection to the store broke: {failure}") from failure
        if error:
            raise _ERRORS[error](self._explain(name, found, args, seconds))
        return found

    def _explain(self, name, text, args, seconds):
        if text != "Wait timeout":
            return text
        return f"wait timeout after {round(seconds * 1000)}ms, keys: {args[0] if args else name}"

    def set(self, key, value):
        self._call("set", key, value)

    def wait(self, keys, timeout=None):
        self._call("wait", list(keys), timeout=timeout)

    def check(self, keys):
        return self._call("check", list(keys))

    def has_extended_api(self):
        return True

    def clone(self):
        """Another connection to the same store."""
        return TCPStore(self.host, self.port, timeout=self._timeout)

    def __repr__(self):
        end = "" if self._server is None else f", server=TCPServer(port={self.port})"
        return f"TCPStore(client=TCPClient(remote=[{self.host}]:{self.port}){end})"

    def __del__(self):
        if vars(self).get("_connection") is not None:
            self._connection.close()
        server = vars(self).get("_server")
        if server is not None and server not in self._servers.values():
            server.shutdown()
            server.server_close()


def _forward(name):
    def method(self, *args):
        return self._call(name, *args)

    method.__name__ = name
    method.__doc__ = f"``{name}`` of the process that holds the store."
    return method


for _name in _CALLS - set(vars(TCPStore)):
    setattr(TCPStore, _name, _forward(_name))
