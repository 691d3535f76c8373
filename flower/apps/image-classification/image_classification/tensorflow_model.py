"""The network in TensorFlow, by Keras: two convolutions and two full layers, like that in PyTorch."""

import os

# As Keras can stand on other frameworks, and TensorFlow tells of every CPU feature.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from numpy.typing import NDArray

import tensorflow as tf
from image_classification.plan import Plan
from image_classification.variant import Arrays, Quality, Step, Task, batches
from oneflower.images import Images

# Sums depend on how threads share them; and threads of small networks mostly wait for one another.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

MOMENTUM = 0.9
EVALUATION_BATCH = 512

Floats = NDArray[np.float32]


def network(task: Task) -> keras.Sequential:
    """Takes images by rows by columns by channels, 0 to 1; gives logits.

    Group norm has no counters, which an average of nodes would spoil.
    """
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(task.shape),
            layers.Conv2D(16, 3, padding="same", name="conv1"),
            layers.GroupNormalization(4, name="norm1"),
            layers.ReLU(name="relu1"),
            layers.MaxPooling2D(2, name="pool1"),
            layers.Conv2D(32, 3, padding="same", name="conv2"),
            layers.GroupNormalization(4, name="norm2"),
            layers.ReLU(name="relu2"),
            layers.MaxPooling2D(2, name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(64, activation="relu", name="full"),
            layers.Dense(len(task.classes), name="output"),
        ],
        name="image_classification",
    )


def initial_arrays(task: Task, seed: int) -> dict[str, Floats]:
    """Keras's own start, drawn from the seed."""
    keras.utils.set_random_seed(seed)
    return _arrays(network(task))


def train(arrays: Arrays, images: Images, plan: Plan, step: Step) -> tuple[dict[str, Floats], float]:
    """Arrays after ``plan.epochs`` passes over the images, and the mean loss of the last pass.

    FedProx's term is part of what is descended, and no part of the loss that is told.
    """
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(step.seed(plan))
    net = loaded(arrays, Task.of_images(images))
    common = [tf.constant(array) for array in arrays.values()]
    optimizer = keras.optimizers.SGD(plan.learning_rate, momentum=MOMENTUM)
    optimizer.build(net.trainable_variables)

    def descend(pixels: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(_losses(net(pixels, training=True), labels))
            term = loss
            if step.proximal_mu:
                pairs = zip(net.trainable_variables, common, strict=True)
                pull = tf.add_n([tf.reduce_sum(tf.square(mine - old)) for mine, old in pairs])
                term = loss + step.proximal_mu / 2 * pull
        optimizer.apply(tape.gradient(term, net.trainable_variables), net.trainable_variables)
        return loss

    compiled = tf.function(descend, reduce_retracing=True)
    generator = np.random.default_rng(step.seed(plan))
    total = 0.0
    for _ in range(plan.epochs):
        total = 0.0
        for batch in batches(generator.permutation(len(images)), plan.batch_size):
            total += float(compiled(*_tensors(images.take(batch)))) * len(batch)
    return _arrays(net), total / len(images)


def evaluate(arrays: Arrays, images: Images) -> Quality:
    """Accuracy and cross entropy on the images."""
    net = loaded(arrays, Task.of_images(images))
    right, loss = 0, 0.0
    for batch in batches(np.arange(len(images)), EVALUATION_BATCH):
        pixels, labels = _tensors(images.take(batch))
        logits = net(pixels, training=False)
        right += int(np.sum(np.argmax(logits.numpy(), axis=1) == labels.numpy()))
        loss += float(tf.reduce_sum(_losses(logits, labels)))
    return Quality(right / len(images), loss / len(images))


def loaded(arrays: Arrays, task: Task) -> keras.Sequential:
    """The network with these weights."""
    net = network(task)
    net.set_weights(list(arrays.values()))
    return net


def _arrays(net: keras.Sequential) -> dict[str, Floats]:
    """Weights by layer and kind, in the order of Keras."""
    return {weights.path.split("/", 1)[1].replace("/", "."): np.array(weights.numpy()) for weights in net.weights}


def _losses(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def _tensors(images: Images) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.constant(images.pixels.astype(np.float32) / np.float32(255)), tf.constant(images.labels)
