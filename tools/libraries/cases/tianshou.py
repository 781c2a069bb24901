"""Tianshou: DQN and PPO on CartPole with collectors, replay buffers and trainers."""

requires = ["tianshou"]


def run():
    """Return statistics and weights."""
    raise NotImplementedError
