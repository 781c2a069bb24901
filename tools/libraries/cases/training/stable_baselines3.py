"""Train PPO, A2C, DQN and SAC for a few hundred steps, save one, load it, and let it act."""

requires = ["stable-baselines3", "gymnasium"]


def run():
    """Return weights, logged values and actions of the agents."""
    import gymnasium as gym
    import numpy as np
    from stable_baselines3 import A2C, DQN, PPO, SAC
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    found = {}
    small = {"net_arch": [16]}
    envs = VecNormalize(DummyVecEnv([lambda: gym.make("CartPole-v1")] * 2))
    ppo = PPO(
        "MlpPolicy",
        envs,
        n_steps=32,
        batch_size=16,
        n_epochs=2,
        seed=1,
        policy_kwargs=small,
        device="cpu",
    )
    ppo.learn(128)
    found["PPO's weights"] = [p.detach() for p in ppo.policy.parameters()]
    found["PPO's losses"] = {
        k: float(v) for k, v in ppo.logger.name_to_value.items() if "loss" in k
    }
    ppo.save("ppo")
    again = PPO.load("ppo", device="cpu")
    observations = np.linspace(-0.1, 0.1, 12, dtype=np.float32).reshape(3, 4)
    found["actions after loading"] = again.predict(observations, deterministic=True)[0].tolist()

    a2c = A2C("MlpPolicy", "CartPole-v1", seed=2, policy_kwargs=small, device="cpu").learn(60)
    found["A2C's weights"] = [p.detach() for p in a2c.policy.parameters()]

    dqn = DQN(
        "MlpPolicy",
        "CartPole-v1",
        learning_starts=20,
        train_freq=4,
        batch_size=8,
        seed=3,
        policy_kwargs=small,
        target_update_interval=30,
        device="cpu",
    ).learn(120)
    found["DQN's weights"] = [p.detach() for p in dqn.q_net.parameters()]
    returns = evaluate_policy(dqn, dqn.get_env(), n_eval_episodes=3, warn=False)
    found["DQN's return"] = float(returns[0])

    sac = SAC(
        "MlpPolicy",
        "Pendulum-v1",
        learning_starts=20,
        batch_size=8,
        seed=4,
        policy_kwargs=small,
        device="cpu",
    ).learn(40)
    found["SAC's actor"] = [p.detach() for p in sac.actor.parameters()]
    found["SAC's entropy"] = float(sac.log_ent_coef.exp())
    return found
