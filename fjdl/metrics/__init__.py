"""Metrics in three forms of one mathematics.

Bare names are streaming metrics, `Metric(init, update, merge, compute)` with exact mergeable states, and scores of
what they counted: `then(confusion_matrix(10), matthews_correlation)` is a streaming metric again. Names of
scikit-learn, such as `f1_score(y_true, y_pred)`, are one-shot functions with its semantics.

The rooms are subjects; `base` has what all of them share. May import `fjdl.boxes` and floor 0.

>>> from fjdl import metrics
>>> scores, truth = jnp.array([[2.0, 1.0], [0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]), jnp.array([0, 1, 0, 1])
>>> metric = metrics.accuracy()
>>> state = metric.update(metric.init(), scores[:2], truth[:2])
>>> metric.compute(metric.update(state, scores[2:], truth[2:]))
Array(0.75, dtype=float32)
>>> metrics.f1_score(truth, jnp.argmax(scores, -1))
Array(0.8, dtype=float32)
"""

from typing import TYPE_CHECKING

from fjdl.metrics.base import Metric, measure, on, then
from fjdl.metrics.classification.agreement import balanced_accuracy, cohen_kappa, matthews_correlation
from fjdl.metrics.classification.averaged_scores import (
    f1_score,
    fbeta_score,
    jaccard_score,
    precision_score,
    recall_score,
    specificity_score,
)
from fjdl.metrics.classification.confusion_table import confusion_table, normalized
from fjdl.metrics.classification.inspection import generalization_gap, misclassified
from fjdl.metrics.classification.label_noise import confident_joint, label_suspects
from fjdl.metrics.classification.label_scores import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    hamming_loss,
    matthews_corrcoef,
    top_k_accuracy_score,
    top_k_error,
    zero_one_loss,
)
from fjdl.metrics.classification.multilabel import multilabel_confusion, multilabel_confusion_matrix
from fjdl.metrics.classification.outcomes import Outcomes, one_against_rest, outcomes_of, pooled
from fjdl.metrics.classification.probabilities import (
    brier_score,
    brier_score_loss,
    brier_scores,
    log_loss,
    log_losses,
    negative_log_likelihood,
)
from fjdl.metrics.classification.rates import (
    accuracy_from,
    f1,
    false_negative_rate,
    false_positive_rate,
    fbeta,
    jaccard,
    macro,
    micro,
    npv,
    ppv,
    precision,
    recall,
    sensitivity,
    specificity,
    weighted,
)
from fjdl.metrics.classification.report import classification_report, classification_report_from
from fjdl.metrics.classification.streaming import (
    accuracy,
    confusion_matrix,
    predicted_class,
    top_k_accuracy,
    within_top_k,
)
from fjdl.metrics.detection.coco import (
    CocoEvaluation,
    CocoSummary,
    coco_class_precision,
    coco_class_recall,
    coco_evaluation,
    coco_summary,
)
from fjdl.metrics.detection.coco_streaming import coco_detection
from fjdl.metrics.detection.voc import DetectionCurve, VocPrecision, voc_curves, voc_evaluation
from fjdl.metrics.detection.voc_streaming import voc_detection
from fjdl.metrics.image.signal_noise import peak_signal_noise_ratio, psnr
from fjdl.metrics.image.structural_similarity import ssim, structural_similarity
from fjdl.metrics.ranking.areas import average_defined, average_precision_score, roc_auc_score
from fjdl.metrics.ranking.curves import (
    DetCurve,
    PrecisionRecallCurve,
    RocCurve,
    auc,
    det_curve,
    drop_repeated,
    precision_recall_curve,
    roc_curve,
)
from fjdl.metrics.ranking.delong import delong_covariance, delong_interval, delong_test
from fjdl.metrics.ranking.interpolated_precision import (
    all_point_average_precision,
    coco_101_point_average_precision,
    voc_11_point_average_precision,
)
from fjdl.metrics.ranking.label_ranking import (
    coverage,
    coverage_error,
    dcg_score,
    label_ranking_average_precision,
    label_ranking_average_precision_score,
    label_ranking_error,
    label_ranking_loss,
    ndcg,
    ndcg_score,
)
from fjdl.metrics.ranking.score_store import (
    average_precision_error_from,
    average_precision_from,
    collected,
    roc_auc_error_from,
    roc_auc_from,
    score_histogram,
)
from fjdl.metrics.regression.correlation import explained_variance, pearson, r2
from fjdl.metrics.regression.deviance import (
    d2_tweedie_score,
    mean_gamma_deviance,
    mean_poisson_deviance,
    mean_squared_log_error,
    mean_tweedie_deviance,
    msle,
    root_mean_squared_log_error,
    tweedie_deviance,
    tweedie_deviances,
)
from fjdl.metrics.regression.quantile import (
    d2_absolute_error_score,
    d2_pinball_score,
    mean_pinball_loss,
    median_absolute_error,
    pinball_loss,
    weighted_quantile,
)
from fjdl.metrics.regression.scores import (
    explained_variance_score,
    max_error,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    pearson_correlation,
    r2_score,
    root_mean_squared_error,
)
from fjdl.metrics.regression.streaming import largest_error, mae, mape, mse, rmse
from fjdl.metrics.retrieval.embeddings import collected_retrieval, embedding_retrieval
from fjdl.metrics.retrieval.neighbours import RetrievalScores, neighbour_retrieval
from fjdl.metrics.segmentation.boundary import boundary_band, boundary_iou, class_boundary_iou
from fjdl.metrics.segmentation.overlap import (
    dice_coefficient,
    frequency_weighted_iou,
    iou,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
    segmentation_matrix,
)
from fjdl.metrics.segmentation.panoptic import PanopticQuality, panoptic_means, panoptic_quality
from fjdl.metrics.segmentation.surface import (
    boundary_f_score,
    class_boundary_f_score,
    distance_to,
    hausdorff_distance,
    mask_boundary,
)
from fjdl.metrics.state.covariance import mean_and_covariance
from fjdl.metrics.state.mean import mean
from fjdl.metrics.text.bleu_interval import bleu_interval
from fjdl.metrics.text.bleu_scores import BleuScore, bleu, corpus_bleu, sentence_bleu, token_bleu
from fjdl.metrics.text.error_rate import character_error_rate, token_error_rate, word_error_rate
from fjdl.metrics.text.levenshtein import edit_distance, levenshtein_distance
from fjdl.metrics.text.surprisal import perplexity, token_surprisal
from fjdl.metrics.text.tokenize import tokenize_13a
from fjdl.metrics.uncertainty.bootstrap import bootstrap_distribution, bootstrap_interval
from fjdl.metrics.uncertainty.calibration import (
    ReliabilityDiagram,
    calibration,
    expected_calibration_error,
    maximum_calibration_error,
    top_class,
)
from fjdl.metrics.uncertainty.intervals import (
    agresti_coull_interval,
    clopper_pearson_interval,
    wald_interval,
    wilson_interval,
)
from fjdl.metrics.uncertainty.ratios import Ratio, ratio_interval, ratio_of_sums
from fjdl.names import other_names

# second names, see `fjdl.names`
cer = character_error_rate
jaccard_index = jaccard
negative_predictive_value = npv
pearson_corrcoef = pearson
positive_predictive_value = ppv
true_negative_rate = specificity
true_positive_rate = recall
wer = word_error_rate

__all__ = [
    "BleuScore", "CocoEvaluation", "CocoSummary", "DetCurve", "DetectionCurve", "Metric", "Outcomes", "PanopticQuality",
    "PrecisionRecallCurve", "Ratio", "ReliabilityDiagram", "RetrievalScores", "RocCurve", "VocPrecision", "accuracy",
    "accuracy_from", "accuracy_score", "agresti_coull_interval", "all_point_average_precision", "auc",
    "average_defined", "average_precision_error_from", "average_precision_from", "average_precision_score",
    "balanced_accuracy", "balanced_accuracy_score", "bleu", "bleu_interval", "bootstrap_distribution",
    "bootstrap_interval", "boundary_band", "boundary_f_score", "boundary_iou", "brier_score", "brier_score_loss",
    "brier_scores", "calibration", "cer", "character_error_rate", "class_boundary_f_score", "class_boundary_iou",
    "classification_report", "classification_report_from", "clopper_pearson_interval",
    "coco_101_point_average_precision", "coco_class_precision", "coco_class_recall", "coco_detection",
    "coco_evaluation", "coco_summary", "cohen_kappa", "cohen_kappa_score", "collected", "collected_retrieval",
    "confident_joint", "confusion_matrix", "confusion_table", "corpus_bleu", "coverage", "coverage_error",
    "d2_absolute_error_score", "d2_pinball_score", "d2_tweedie_score", "dcg_score", "delong_covariance",
    "delong_interval", "delong_test", "det_curve", "dice_coefficient", "distance_to", "drop_repeated", "edit_distance",
    "embedding_retrieval", "expected_calibration_error", "explained_variance", "explained_variance_score", "f1",
    "f1_score", "false_negative_rate", "false_positive_rate", "fbeta", "fbeta_score", "frequency_weighted_iou",
    "generalization_gap", "hamming_loss", "hausdorff_distance", "iou", "jaccard", "jaccard_index", "jaccard_score",
    "label_ranking_average_precision", "label_ranking_average_precision_score", "label_ranking_error",
    "label_ranking_loss", "label_suspects", "largest_error", "levenshtein_distance", "log_loss", "log_losses", "macro",
    "mae", "mape", "mask_boundary", "matthews_corrcoef", "matthews_correlation", "max_error",
    "maximum_calibration_error", "mean", "mean_absolute_error", "mean_absolute_percentage_error", "mean_accuracy",
    "mean_and_covariance", "mean_gamma_deviance", "mean_iou", "mean_pinball_loss", "mean_poisson_deviance",
    "mean_squared_error", "mean_squared_log_error", "mean_tweedie_deviance", "measure", "median_absolute_error",
    "micro", "misclassified", "mse", "msle", "multilabel_confusion", "multilabel_confusion_matrix", "ndcg",
    "ndcg_score", "negative_log_likelihood", "negative_predictive_value", "neighbour_retrieval", "normalized", "npv",
    "on", "one_against_rest", "outcomes_of", "panoptic_means", "panoptic_quality", "peak_signal_noise_ratio", "pearson",
    "pearson_corrcoef", "pearson_correlation", "perplexity", "pinball_loss", "pixel_accuracy", "pooled",
    "positive_predictive_value", "ppv", "precision", "precision_recall_curve", "precision_score", "predicted_class",
    "psnr", "r2", "r2_score", "ratio_interval", "ratio_of_sums", "recall", "recall_score", "rmse", "roc_auc_error_from",
    "roc_auc_from", "roc_auc_score", "roc_curve", "root_mean_squared_error", "root_mean_squared_log_error",
    "score_histogram", "segmentation_matrix", "sensitivity", "sentence_bleu", "specificity", "specificity_score",
    "ssim", "structural_similarity", "then", "token_bleu", "token_error_rate", "token_surprisal", "tokenize_13a",
    "top_class", "top_k_accuracy", "top_k_accuracy_score", "top_k_error", "true_negative_rate", "true_positive_rate",
    "tweedie_deviance", "tweedie_deviances", "voc_11_point_average_precision", "voc_curves", "voc_detection",
    "voc_evaluation", "wald_interval", "weighted", "weighted_quantile", "wer", "wilson_interval", "within_top_k",
    "word_error_rate", "zero_one_loss",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
