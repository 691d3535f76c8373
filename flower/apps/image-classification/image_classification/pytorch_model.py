"""Training and measuring the network of ``pytorch_network``."""

import os

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from image_classification.plan import Plan
from image_classification.pytorch_network import network
from image_classification.variant import Arrays, Quality, Step, Task, batches
from oneflower.device import device_of
from oneflower.images import Images

MOMENTUM = 0.9
EVALUATION_BATCH = 512

Floats = NDArray[np.float32]


def initial_arrays(task: Task, seed: int) -> dict[str, Floats]:
    """PyTorch's own start, drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _arrays(network(*task.shape, len(task.classes)))


def train(arrays: Arrays, images: Images, plan: Plan, step: Step) -> tuple[dict[str, Floats], float]:
    """Arrays after ``plan.epochs`` passes over the images, and the mean loss of the last pass.

    FedProx's term is part of what is descended, and no part of the loss that is told.
    """
    _be_deterministic()
    net = loaded(arrays, Task.of_images(images)).train()
    common = [weights.detach().clone() for weights in net.parameters()]
    optimizer = torch.optim.SGD(net.parameters(), lr=plan.learning_rate, momentum=MOMENTUM)
    generator = np.random.default_rng(step.seed(plan))
    total = 0.0
    for _ in range(plan.epochs):
        total = 0.0
        for batch in batches(generator.permutation(len(images)), plan.batch_size):
            pixels, labels = _tensors(images.take(batch), common[0].device)
            loss = functional.cross_entropy(net(pixels), labels)
            total += float(loss.detach()) * len(batch)
            if step.proximal_mu:
                pairs = zip(net.parameters(), common, strict=True)
                loss = loss + step.proximal_mu / 2 * sum(((mine - old) ** 2).sum() for mine, old in pairs)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return _arrays(net), total / len(images)


def evaluate(arrays: Arrays, images: Images) -> Quality:
    """Accuracy and cross entropy on the images."""
    _be_deterministic()
    net = loaded(arrays, Task.of_images(images)).eval()
    device = next(net.parameters()).device
    right, loss = 0, 0.0
    with torch.inference_mode():
        for batch in batches(np.arange(len(images)), EVALUATION_BATCH):
            pixels, labels = _tensors(images.take(batch), device)
            logits = net(pixels)
            right += int((logits.argmax(dim=1) == labels).sum())
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    return Quality(right / len(images), loss / len(images))


def loaded(arrays: Arrays, task: Task) -> torch.nn.Sequential:
    """The network with these weights, on the device of this process."""
    net = network(*task.shape, len(task.classes))
    net.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in arrays.items()})
    return net.to(device_of("pytorch").place)


def _arrays(net: torch.nn.Sequential) -> dict[str, Floats]:
    return {name: weights.detach().cpu().numpy().copy() for name, weights in net.state_dict().items()}


def _tensors(images: Images, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.from_numpy(images.pixels).to(device).permute(0, 3, 1, 2).contiguous().float() / 255
    return pixels, torch.from_numpy(images.labels).to(device)


def _be_deterministic() -> None:
    # cuBLAS asks for it in the environment, before its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    # Sums depend on how threads share them; and threads of small networks mostly wait for one another.
    torch.set_num_threads(1)
