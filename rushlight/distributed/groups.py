"""Groups of some processes."""

from rushlight.distributed.process_group import GroupMember, resolve
from rushlight.distributed.telling import told
from rushlight.distributed.world import get_rank, get_world_size, subgroup

__all__ = [
    "new_group", "new_subgroups", "new_subgroups_by_enumeration", "shrink_group", "split_group",
]  # fmt: skip


@told
def new_group(
    ranks=None, timeout=None, backend=None, pg_options=None, use_local_synchronization=False,
    group_desc=None, device_id=None, sort_ranks=True,
):  # fmt: skip
    """Make a group of some processes. All processes must call it.

    Args:
        ranks: Their ranks. Default: all.
        use_local_synchronization: Accepted without effect.
        sort_ranks: Whether the order of the group is that of the ranks.

    Returns:
        A ``ProcessGroup``; ``GroupMember.NON_GROUP_MEMBER`` if this process is not in the group.

    Raises:
        ValueError: A rank does not exist, or comes twice.

    >>> dist.get_world_size(dist.new_group([0]))
    1
    """
    size = resolve().size()
    if ranks is None:
        return subgroup(list(range(size)), timeout, backend, group_desc)
    ranks = sorted(ranks) if sort_ranks else list(ranks)
    if len(set(ranks)) != len(ranks):
        raise ValueError(f"ranks list must not contain duplicate entries, got {ranks}")
    if len(ranks) > size:
        raise ValueError(
            "the new group's world size should be less or equal to the world size set by "
            "init_process_group"
        )
    for rank in ranks:
        if not 0 <= rank < size:
            raise ValueError(
                f"Rank {rank} is out of range. Valid ranks are 0 to {size - 1} (world_size={size})"
            )
    return subgroup(ranks, timeout, backend, group_desc)


@told
def new_subgroups(
    group_size=None, group=None, timeout=None, backend=None, pg_options=None, group_desc=None
):  # fmt: skip
    """Divide all processes into groups of one size, in the order of their ranks.

    Args:
        group_size: The number of processes in each group.
        group: Accepted without effect.

    Returns:
        Tuple of the group of this process and the list of all groups.

    Raises:
        ValueError: The size does not divide the number of processes.

    >>> own, all_groups = dist.new_subgroups(1)
    >>> len(all_groups)
    1
    """
    size = get_world_size()
    if group_size is None:
        raise ValueError(
            "Default group size only takes effect when CUDA is available. If your subgroup uses a "
            "backend that does not depend on CUDA, please pass in 'group_size' correctly."
        )
    if group_size <= 0:
        raise ValueError(f"The arg 'group_size' ({group_size}) must be positive")
    if size < group_size:
        raise ValueError(
            f"The arg 'group_size' ({group_size}) must not exceed the world size ({size})"
        )
    if size % group_size:
        raise ValueError(f"The world size ({size}) must be divisible by 'group_size={group_size}'")
    parts = [list(range(i, i + group_size)) for i in range(0, size, group_size)]
    return new_subgroups_by_enumeration(parts, timeout, backend, pg_options, group_desc)


@told
def new_subgroups_by_enumeration(
    ranks_per_subgroup_list, timeout=None, backend=None, pg_options=None, group_desc=None
):  # fmt: skip
    """Divide processes into groups.

    Args:
        ranks_per_subgroup_list: A list of the ranks of each group.

    Returns:
        Tuple of the group of this process (None if there is none) and the list of all groups.

    Raises:
        ValueError: The list is empty, or a rank comes twice.

    >>> own, all_groups = dist.new_subgroups_by_enumeration([[0]])
    >>> own is all_groups[0]
    True
    """
    if not ranks_per_subgroup_list:
        raise ValueError("The arg 'ranks_per_subgroup_list' cannot be empty")
    own, found = None, []
    homes: dict = {}
    for ranks in ranks_per_subgroup_list:
        for rank in ranks:
            if rank in homes:
                raise ValueError(
                    f"Rank {rank} has appeared in both subgroup {homes[rank]} and {ranks}"
                )
            homes[rank] = ranks
    for ranks in ranks_per_subgroup_list:
        found.append(new_group(ranks, timeout, backend, pg_options, group_desc=group_desc))
        if get_rank() in ranks:
            own = found[-1]
    return own, found


@told
def split_group(
    parent_pg=None, split_ranks=None, timeout=None, pg_options=None, group_desc=None, backend=None
):  # fmt: skip
    """Divide a group into groups.

    Args:
        parent_pg: The group. Default: all processes.
        split_ranks: A list of the ranks, in the group, of each part.

    Returns:
        The group of this process; None if no part has it.

    Raises:
        ValueError: There are no parts.

    >>> dist.split_group(split_ranks=[[0]]).size()
    1
    """
    parent = resolve(parent_pg)
    if not split_ranks:
        raise ValueError("split_ranks cannot be None or empty")
    found = None
    for part in split_ranks:
        made = new_group([parent.ranks[i] for i in part], timeout, backend, group_desc=group_desc)
        if made != GroupMember.NON_GROUP_MEMBER:
            found = made
    return found


@told
def shrink_group(ranks_to_exclude, group=None, shrink_flags=0, pg_options=None):
    """Raise: a group of one process cannot lose one.

    Args:
        ranks_to_exclude: The ranks of the processes that leave.
        shrink_flags: Accepted without effect.

    Raises:
        ValueError: Always.

    >>> try:
    ...     dist.shrink_group([0])
    ... except ValueError as error:
    ...     print("refused")
    refused
    """
    raise ValueError(
        f"Cannot shrink a process group with size {resolve(group).size()}. Group must have at "
        "least 2 ranks to support shrinking."
    )
