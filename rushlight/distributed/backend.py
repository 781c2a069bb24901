"""Names of backends."""

from rushlight.distributed.transport import TRANSPORTS

__all__ = ["Backend", "BackendConfig", "backend_name", "get_default_backend_for_device"]


class Backend(str):
    """The name of a backend, in lower case.

    All of PyTorch's names stand for the transport of one process. A name like
    ``"cpu:gloo,cuda:nccl"`` gives a backend for each type of device.

    Args:
        name: The name.

    Raises:
        ValueError: ``name`` is no text.

    >>> import rushlight as torch
    >>> torch.distributed.Backend("GLOO") == torch.distributed.Backend.GLOO
    True
    """

    UNDEFINED, GLOO, NCCL, XCCL = "undefined", "gloo", "nccl", "xccl"
    UCC, MPI, FAKE = "ucc", "mpi", "fake"
    default_device_backend_map = {"cpu": GLOO, "cuda": NCCL, "xpu": XCCL, "mps": GLOO}
    backend_list = [UNDEFINED, GLOO, NCCL, XCCL, UCC, MPI, FAKE]
    backend_capability = {
        GLOO: ["cpu", "cuda"], NCCL: ["cuda"], XCCL: ["xpu"], UCC: ["cpu", "cuda"],
        MPI: ["cpu", "cuda"], FAKE: ["cpu", "cuda", "hpu", "xpu"],
    }  # fmt: skip

    def __new__(cls, name):
        if not isinstance(name, str):
            raise ValueError("Backend constructor parameter must be string-ish")
        return str.__new__(cls, name.lower())

    @classmethod
    def register_backend(cls, name, func, extended_api=False, devices=None):
        """Raise: a backend of PyTorch's own C++ interface has no transport here."""
        raise NotImplementedError(
            f"Backend.register_backend({name!r}): rushlight has no backends of other libraries; a "
            "class of rushlight.distributed.transport.Transport in TRANSPORTS is one"
        )


class BackendConfig:
    """Which backend serves which type of device.

    Args:
        backend: A ``Backend``, or a text such as ``"cpu:gloo,cuda:nccl"``.

    Raises:
        ValueError: A part of the text has no device.

    >>> import rushlight as torch
    >>> torch.distributed.BackendConfig(torch.distributed.Backend("gloo"))
    cpu:gloo,cuda:gloo
    """

    def __init__(self, backend):
        name = str(backend)
        if name == Backend.UNDEFINED:
            self.device_backend_map = {"cpu": Backend.GLOO}
        elif ":" in name:
            self.device_backend_map = dict(_pair(part, name) for part in name.lower().split(","))
        else:
            devices = Backend.backend_capability.get(name, ["cpu"])
            self.device_backend_map = dict.fromkeys(devices, name)

    def __repr__(self):
        return ",".join(f"{d}:{b}" for d, b in self.device_backend_map.items())

    def get_device_backend_map(self):
        """The backend of each type of device, a dict."""
        return self.device_backend_map


def _pair(part, name):
    device, _, backend = part.partition(":")
    if not backend or ":" in backend:
        raise ValueError(
            f"Invalid device:backend pairing: {part}. The custom backend string argument is "
            f"invalid: {name}. It must look like 'cpu:gloo,cuda:nccl'"
        )
    return device, backend


def backend_name(backend):
    """Return ``backend`` as a Backend, which must have a transport."""
    found = Backend(Backend.UNDEFINED if backend is None else backend)
    for name in BackendConfig(found).get_device_backend_map().values():
        if name not in TRANSPORTS:
            raise AssertionError(f"Unknown backend type {name}")
    return found


def get_default_backend_for_device(device):
    """Return the name of the backend of a type of device.

    Args:
        device: A ``torch.device``, or its text.

    Returns:
        A str.

    Raises:
        ValueError: There is none.

    >>> import rushlight as torch
    >>> torch.distributed.get_default_backend_for_device("cpu")
    'gloo'
    """
    kind = device.partition(":")[0] if isinstance(device, str) else device.type
    if kind not in Backend.default_device_backend_map:
        raise ValueError(f"Default backend not registered for device : {kind}")
    return Backend.default_device_backend_map[kind]
