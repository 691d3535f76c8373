import math

import numpy as np
import pytest
import torch

from anomaly_detection import autoencoder, compare, torch_training
from anomaly_detection.exchange import agree, scale_answer
from anomaly_detection.plan import TrainingPlan
from anomaly_detection.types import Floats, Labels, Weights
from oneflower.rows import DataRefusedError, join_rows

PLAN = TrainingPlan.of_run({"framework": "pytorch"})


def small() -> tuple[Weights, Floats, Labels]:
    generator = np.random.default_rng(3)
    features = generator.normal(size=(200, 4))
    labels = (np.arange(200) % 10 == 0).astype(np.int64)
    return autoencoder.initial_weights(4, PLAN), features, labels


def distance(one: Weights, other: Weights) -> float:
    return math.sqrt(sum(float(((one[name] - other[name]) ** 2).sum()) for name in one))


def test_three_nodes_find_anomalies_of_which_none_was_trained_on() -> None:
    shards = compare.shards_of(3)
    columns, scale = agree({place: scale_answer(shard.train) for place, shard in enumerate(shards)})
    weights = autoencoder.initial_weights(len(columns), PLAN)
    held_out = join_rows([shard.held_out for shard in shards])
    scaled = scale.apply(held_out.features)
    before = torch_training.loss(weights, scaled, held_out.labels)
    # Far from the centre is already suspect: what an untrained network rebuilds worst. Training must add to that.
    untrained = torch_training.roc_auc(weights, scaled, held_out.labels)
    normal = [torch_training.trained_on(shard.train.labels) for shard in shards]
    for server_round in (1, 2):
        trained = [
            torch_training.train(weights, scale.apply(shard.train.features), shard.train.labels, PLAN, server_round)
            for shard in shards
        ]
        weights = {
            name: np.average([each[name] for each in trained], axis=0, weights=normal).astype(np.float32)
            for name in weights
        }
    assert torch_training.roc_auc(weights, scaled, held_out.labels) > max(untrained, 0.995)
    assert torch_training.loss(weights, scaled, held_out.labels) < before / 2


def test_training_is_the_same_every_time_and_leaves_its_input_alone() -> None:
    start, features, labels = small()
    before = {name: array.copy() for name, array in start.items()}
    one, other = (torch_training.train(start, features, labels, PLAN, 1) for _ in range(2))
    assert list(one) == list(autoencoder.ARRAY_NAMES)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])
        np.testing.assert_array_equal(start[name], before[name])
        assert array.dtype == np.float32


def test_anomalies_are_not_trained_on() -> None:
    start, features, labels = small()
    spoilt = features.copy()
    spoilt[labels == 1] = 1e6
    for name, array in torch_training.train(start, spoilt, labels, PLAN, 1).items():
        np.testing.assert_array_equal(array, torch_training.train(start, features, labels, PLAN, 1)[name])


def test_the_proximal_term_draws_back_and_vanishes_with_mu() -> None:
    start, features, labels = small()
    free, none, some, much = (
        torch_training.train(start, features, labels, PLAN, 1, mu) for mu in (0.0, 1e-20, 1.0, 100.0)
    )
    assert distance(free, none) == 0
    assert distance(much, start) < distance(some, start) < distance(free, start)


def test_the_plan_reaches_the_training() -> None:
    start, features, labels = small()
    usual = torch_training.train(start, features, labels, PLAN, 1)
    for changed in ({"local-epochs": 4}, {"client-lr": 0.02}, {"seed": 2}):
        plan = TrainingPlan.of_run({"framework": "pytorch", **changed})
        assert distance(torch_training.train(start, features, labels, plan, 1), usual) > 0


def test_rows_of_one_label() -> None:
    start, features, labels = small()
    assert math.isnan(torch_training.roc_auc(start, features, np.zeros_like(labels)))
    assert math.isnan(torch_training.loss(start, features, np.ones_like(labels)))
    with pytest.raises(DataRefusedError, match="all are labelled 1"):
        torch_training.train(start, features, np.ones_like(labels), PLAN, 1)


def test_the_arrays_are_the_state_of_the_network() -> None:
    start, _, _ = small()
    state = torch_training.network_of(start).state_dict()
    assert list(state) == list(autoencoder.ARRAY_NAMES)
    assert all(torch.equal(state[name], torch.tensor(array)) for name, array in start.items())
