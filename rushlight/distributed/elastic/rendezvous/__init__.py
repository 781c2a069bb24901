"""How launchers on several machines find each other."""

from rushlight.distributed.absent import absent_names

_absent = absent_names(
    "elastic.rendezvous",
    "RendezvousHandler RendezvousInfo RendezvousParameters RendezvousStoreInfo",
)
globals().update(_absent)

__all__ = [*_absent]
