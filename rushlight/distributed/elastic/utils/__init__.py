"""Small functions of the launcher."""

import os

__all__ = ["get_env_variable_or_raise", "get_socket_with_port"]


def get_env_variable_or_raise(env_name):
    """Return a variable of the environment.

    Args:
        env_name: Its name.
    """
    found = os.environ.get(env_name)
    if found is None:
        raise ValueError(f"Environment variable {env_name} expected, but not set")
    return found


def get_socket_with_port():
    """Return a socket on a free port of this machine."""
    import socket

    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    found.bind(("localhost", 0))
    found.listen(0)
    return found
