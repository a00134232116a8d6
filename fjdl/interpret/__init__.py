"""Understanding a trained network: where its scores come from, what its units look for, how easily it is fooled.

A network is any function of inputs `[n, ...]` that gives scores `[n, k]`, such as logits; images are `[n, h, w, c]`.
Of a `Model` it is `lambda x: model.apply(params, stats, x)[0]`. Call these functions under `jax.jit` with the
parameters as its arguments, so that a second call compiles nothing. `fjdl.nn.observed` gives what a layer of a module
computes. May import floor 0, `fjdl.functional` and `fjdl.losses`.

>>> from fjdl import interpret
>>> weights = jnp.array([[1.0, -1.0], [2.0, 0.0], [0.0, 0.5]])
>>> network = lambda x: jax.nn.relu(x) @ weights
>>> x, classes = jnp.array([[0.5, 0.25, 0.75]]), jnp.array([1])
>>> interpret.gradient_times_input(network, x, classes)
Array([[-0.5  ,  0.   ,  0.375]], dtype=float32)
>>> interpret.fgsm(network, x, classes, radius=0.125)
Array([[0.625, 0.375, 0.625]], dtype=float32)
"""

from fjdl.interpret.adversarial import (
    Robustness,
    fgsm,
    logit_margin,
    pgd,
    pgd_l2,
    robust_accuracy,
    targeted_gradient,
)
from fjdl.interpret.cam import enlarged, grad_cam, grad_cam_plus_plus
from fjdl.interpret.embedding import PCA, fit_pca, project, tsne
from fjdl.interpret.maximize import maximize, total_variation
from fjdl.interpret.occlusion import occlusion, rise
from fjdl.interpret.rectifiers import guided, nonlinearities
from fjdl.interpret.saliency import (
    completeness_gap,
    gradient_times_input,
    input_gradient,
    integrated_gradients,
    saliency_map,
    smooth_gradient,
)
from fjdl.interpret.scores import Network, Score
from fjdl.interpret.segmentation import largest_part, region_box, salient_region
from fjdl.interpret.units import Histogram, histogram, histograms, layer_norms, saturated_share, zero_share

__all__ = [
    "PCA", "Histogram", "Network", "Robustness", "Score", "completeness_gap", "enlarged", "fgsm", "fit_pca", "grad_cam",
    "grad_cam_plus_plus", "gradient_times_input", "guided", "histogram", "histograms", "input_gradient",
    "integrated_gradients", "largest_part", "layer_norms", "logit_margin", "maximize", "nonlinearities", "occlusion",
    "pgd", "pgd_l2", "project", "region_box", "rise", "robust_accuracy", "saliency_map", "salient_region",
    "saturated_share", "smooth_gradient", "targeted_gradient", "total_variation", "tsne", "zero_share",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
