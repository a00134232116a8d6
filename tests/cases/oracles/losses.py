"""What losses equal, in NumPy, SciPy, PyTorch and scikit-learn."""

from typing import Any

import numpy as np

from tests.cases.case import of_torch


def per_feature(name: str, **options: Any) -> Any:
    """PyTorch's regression loss with the mean over the last axis."""

    def call(*tensors: Any) -> Any:
        import torch

        return getattr(torch.nn.functional, name)(*tensors, reduction="none", **options).mean(-1)

    return of_torch(call)


def each(name: str, **options: Any) -> Any:
    """PyTorch's loss without a reduction; what is an array among the options becomes a tensor."""

    def call(*tensors: Any) -> Any:
        import torch

        return getattr(torch.nn.functional, name)(*tensors, reduction="none", **options)

    return of_torch(call)


def cross_entropy_of_weighted_classes(logits: Any, labels: Any, class_weights: Any) -> Any:
    import torch

    return torch.nn.functional.cross_entropy(
        logits, labels, weight=class_weights, ignore_index=0, label_smoothing=0.1, reduction="none"
    )


def focal_of_torchvision(logits: Any, targets: Any) -> Any:
    """Written as torchvision.ops does."""
    import torch

    p = torch.sigmoid(logits)
    nats = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    return (0.25 * targets + 0.75 * (1 - targets)) * nats * (1 - p_t) ** 2


def focal_of_classes(logits: Any, labels: Any, alpha: Any) -> Any:
    import torch

    nats = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    return alpha[labels] * (1 - torch.exp(-nats)) ** 0.5 * nats


def hinge_of_torch(scores: Any, targets: Any) -> Any:
    import torch

    return torch.nn.functional.hinge_embedding_loss((2 * targets - 1) * scores, -torch.ones(()), reduction="none")


def hinge_of_sklearn(logits: Any, labels: Any) -> Any:
    from sklearn.metrics import hinge_loss

    return np.array([hinge_loss([y], row[None], labels=range(5)) for row, y in zip(logits, labels, strict=True)])


def pinball_of_sklearn(predictions: Any, targets: Any) -> Any:
    from sklearn.metrics import mean_pinball_loss

    pairs = [
        mean_pinball_loss(t, p, alpha=0.3, multioutput="raw_values")
        for p, t in zip(predictions[:, None], targets[:, None], strict=True)
    ]
    return np.mean(pairs, axis=-1)


def log_cosh_of_numpy(predictions: Any, targets: Any) -> Any:
    return np.mean(np.log(np.cosh(predictions - targets)), axis=-1)


def entropy_of_scipy(p: Any) -> Any:
    from scipy.special import entr

    return entr(p).sum(-1)


def js_of_scipy(p: Any, q: Any) -> Any:
    from scipy.special import rel_entr

    return (rel_entr(p, (p + q) / 2) + rel_entr(q, (p + q) / 2)).sum(-1) / 2


def kl_of_scipy(p: Any, q: Any) -> Any:
    from scipy.special import rel_entr

    return rel_entr(p, q).sum(-1)


def kl_of_torch(logits: Any, targets: Any) -> Any:
    import torch

    return torch.nn.functional.kl_div(torch.log_softmax(logits, -1), targets, reduction="none").sum(-1)


def balanced_of_sklearn(counts: Any) -> Any:
    from sklearn.utils.class_weight import compute_class_weight

    y = np.repeat(np.arange(len(counts)), np.asarray(counts).astype(int))
    return compute_class_weight("balanced", classes=np.arange(len(counts)), y=y)
