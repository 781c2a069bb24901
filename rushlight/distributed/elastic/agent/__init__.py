"""The launcher's process on each machine."""
