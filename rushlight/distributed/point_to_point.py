"""Sends and receives between two processes."""

from rushlight.distributed import carried
from rushlight.distributed.collectives import check_tensor, given, member, root_in_group
from rushlight.distributed.process_group import resolve
from rushlight.distributed.telling import told
from rushlight.distributed.world import get_global_rank

__all__ = ["P2POp", "batch_isend_irecv", "irecv", "isend", "recv", "send"]


@told
def isend(tensor, dst=None, group=None, tag=0, group_dst=None):
    """Start to send a tensor to another process.

    Args:
        tensor: The tensor. It may not be written before the ``Work`` is done.

    Returns:
        A ``Work``.

    Raises:
        ValueError: Neither ``dst`` nor ``group_dst`` is given, or both are.
        RuntimeError: The group has no other process.

    >>> try:
    ...     dist.isend(torch.ones(2), dst=0)
    ... except RuntimeError:
    ...     print("there is nobody")
    there is nobody
    """
    check_tensor(tensor, "tensor")
    pg = member(group, "isend")
    if pg is None:
        return None
    return carried.send(pg, tensor, root_in_group(pg, dst, group_dst), tag)


@told
def irecv(tensor, src=None, group=None, tag=0, group_src=None):
    """Start to receive a tensor from another process.

    Args:
        tensor: The tensor that is written.
        src: The rank that it comes from. Default: any.

    Returns:
        A ``Work``.

    Raises:
        RuntimeError: The group has no other process.

    >>> try:
    ...     dist.irecv(torch.ones(2), src=0)
    ... except RuntimeError:
    ...     print("there is nobody")
    there is nobody
    """
    check_tensor(tensor, "tensor")
    pg = member(group, "irecv")
    if pg is None:
        return None
    anyone = src is None and group_src is None
    return carried.recv(pg, tensor, None if anyone else root_in_group(pg, src, group_src), tag)


@told
def send(tensor, dst=None, group=None, tag=0, group_dst=None):
    """Send a tensor to another process.

    Args:
        tensor: The tensor.

    Raises:
        ValueError: The destination is this process, or none is given.
        RuntimeError: There is no such rank.

    >>> try:
    ...     dist.send(torch.ones(2), dst=0)
    ... except ValueError:
    ...     print("a process does not send to itself")
    a process does not send to itself
    """
    pg = resolve(group)
    to = 0 if pg is None else root_in_group(pg, dst, group_dst)
    check_tensor(tensor, "tensor")
    if member(group, "send") is None:
        return
    if to == pg.rank():
        raise ValueError(
            "Invalid destination rank: destination rank should not be the same as the rank of the "
            "current process."
        )
    given(carried.send(pg, tensor, to, tag), False)


@told
def recv(tensor, src=None, group=None, tag=0, group_src=None):
    """Receive a tensor from another process.

    Args:
        tensor: The tensor that is written.
        src: The rank that it comes from. Default: any.

    Returns:
        The rank, among all processes, that it came from; -1 if this process is not in the group.

    Raises:
        RuntimeError: The group has no other process.

    >>> try:
    ...     dist.recv(torch.ones(2), src=0)
    ... except RuntimeError:
    ...     print("there is nobody")
    there is nobody
    """
    work = irecv(tensor, src, group, tag, group_src)
    if work is None:
        return -1
    work.wait()
    return get_global_rank(resolve(group), work.source_rank())


class P2POp:
    """A send or a receive of ``batch_isend_irecv``.

    Args:
        op: ``isend`` or ``irecv``.
        tensor: The tensor.
        peer: The rank of the other process among all processes.
        group: The group. Default: all processes.
        tag: A number that a send and its receive share.
        group_peer: The rank of the other process in ``group``, instead of ``peer``.

    Raises:
        ValueError: ``op`` is another function.

    >>> import rushlight as torch
    >>> import rushlight.distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> dist.P2POp(dist.isend, torch.ones(4), 0).peer
    0
    >>> dist.destroy_process_group()
    """

    def __init__(self, op, tensor, peer=None, group=None, tag=0, group_peer=None):
        if op not in (isend, irecv):
            raise ValueError(
                "Invalid ``op``. Expected ``op`` to be of type ``torch.distributed.isend`` or "
                "``torch.distributed.irecv``."
            )
        check_tensor(tensor, "tensor")
        self.op, self.tensor, self.tag = op, tensor, tag
        self.group = resolve(group)
        self.group_peer = root_in_group(self.group, peer, group_peer)
        self.peer = get_global_rank(self.group, self.group_peer)

    def __repr__(self):
        own, other = self.group.rank(), self.group_peer
        source, target = (own, other) if self.op is isend else (other, own)
        return (
            f"P2POp({self.op.__name__} pg={self.group.group_name}, group_src={source}, "
            f"group_dst={target},  {self.tensor.shape}, {self.tensor.dtype})"
        )


@told
def batch_isend_irecv(p2p_op_list):
    """Start several sends and receives.

    Args:
        p2p_op_list: A list of ``P2POp``.

    Returns:
        A list of ``Work``.

    Raises:
        ValueError: Something in the list is no ``P2POp``.
        IndexError: The list is empty.

    >>> try:
    ...     dist.batch_isend_irecv([dist.P2POp(dist.isend, torch.ones(2), 0)])
    ... except RuntimeError:
    ...     print("there is nobody")
    there is nobody
    """
    if not isinstance(p2p_op_list, list) or not all(isinstance(x, P2POp) for x in p2p_op_list):
        raise ValueError(
            "Invalid ``p2p_op_list``. Each op is expected to to be of type "
            "``torch.distributed.P2POp``."
        )
    if not p2p_op_list:
        raise IndexError("batch_isend_irecv: the list is empty")
    return [
        (carried.send if x.op is isend else carried.recv)(x.group, x.tensor, x.group_peer, x.tag)
        for x in p2p_op_list
    ]
