"""Agents of Tianshou (DQN, PPO, discrete SAC) learn CartPole from collectors and replay buffers."""

requires = ["tianshou", "gymnasium"]


def run():
    """Return weights, losses and actions of the agents."""
    import gymnasium as gym
    import numpy as np
    import torch
    from tianshou.algorithm import DQN, PPO, DiscreteSAC
    from tianshou.algorithm.modelfree.discrete_sac import DiscreteSACPolicy
    from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
    from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
    from tianshou.algorithm.optim import AdamOptimizerFactory
    from tianshou.data import Batch, Collector, PrioritizedVectorReplayBuffer, VectorReplayBuffer
    from tianshou.env import DummyVectorEnv
    from tianshou.trainer import OffPolicyTrainerParams, OnPolicyTrainerParams
    from tianshou.utils.net.common import Net
    from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic

    space = gym.make("CartPole-v1").action_space
    observations = np.linspace(-0.1, 0.1, 12, dtype=np.float32).reshape(3, 4)
    found = {}

    def envs():
        made = DummyVectorEnv([lambda: gym.make("CartPole-v1") for _ in range(2)])
        made.seed(7)
        return made

    def net(outputs=0):
        return Net(state_shape=4, action_shape=outputs, hidden_sizes=[16, 16])

    def note(name, algorithm, result):
        found[f"{name}'s weights"] = [p.detach() for p in algorithm.policy.parameters()]
        found[f"{name}'s steps"] = [result.update_step, result.train_step, result.train_episode]
        with torch.no_grad():
            batch = algorithm.policy(Batch(obs=observations, info=Batch()))
        found[f"{name}'s outputs"] = batch.logits

    def off_policy(name, algorithm, buffer):
        collector = Collector(algorithm, envs(), buffer, exploration_noise=True)
        collector.reset()
        collector.collect(n_step=64)
        result = algorithm.run_training(
            OffPolicyTrainerParams(
                training_collector=collector,
                max_epochs=2,
                epoch_num_steps=40,
                collection_step_num_env_steps=10,
                update_step_num_gradient_steps_per_sample=0.3,
                batch_size=16,
                show_progress=False,
                verbose=False,
            )
        )
        note(name, algorithm, result)

    torch.manual_seed(1)
    np.random.seed(1)
    policy = DiscreteQLearningPolicy(model=net(2), action_space=space, eps_training=0.2)
    space.seed(1)
    dqn = DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=1e-3),
        n_step_return_horizon=3,
        target_update_freq=5,
    )
    off_policy("DQN", dqn, PrioritizedVectorReplayBuffer(200, 2, alpha=0.6, beta=0.4))

    torch.manual_seed(2)
    np.random.seed(2)
    sac = DiscreteSAC(
        policy=DiscreteSACPolicy(
            actor=DiscreteActor(preprocess_net=net(), action_shape=2, softmax_output=False),
            action_space=space,
        ),
        policy_optim=AdamOptimizerFactory(lr=1e-3),
        critic=DiscreteCritic(preprocess_net=net(), last_size=2),
        critic_optim=AdamOptimizerFactory(lr=1e-3),
        critic2=DiscreteCritic(preprocess_net=net(), last_size=2),
        critic2_optim=AdamOptimizerFactory(lr=1e-3),
    )
    off_policy("SAC", sac, VectorReplayBuffer(200, 2))

    torch.manual_seed(3)
    np.random.seed(3)
    ppo = PPO(
        policy=DiscreteActorPolicy(
            actor=DiscreteActor(preprocess_net=net(), action_shape=2, softmax_output=False),
            action_space=space,
        ),
        critic=DiscreteCritic(preprocess_net=net()),
        optim=AdamOptimizerFactory(lr=3e-3),
        max_grad_norm=0.5,
        return_scaling=True,
    )
    result = ppo.run_training(
        OnPolicyTrainerParams(
            training_collector=Collector(ppo, envs(), VectorReplayBuffer(200, 2)),
            max_epochs=2,
            epoch_num_steps=60,
            collection_step_num_env_steps=30,
            update_step_num_repetitions=2,
            batch_size=16,
            show_progress=False,
            verbose=False,
        )
    )
    note("PPO", ppo, result)
    torch.save(ppo.state_dict(), "ppo.pt")
    ppo.load_state_dict(torch.load("ppo.pt"))
    collector = Collector(ppo, envs(), VectorReplayBuffer(400, 2))
    collector.reset()
    returns = collector.collect(n_episode=3, reset_before_collect=True).returns
    found["PPO's returns"] = [float(r) for r in returns]
    return found
