"""Scores of neighbours by loops over queries, and neighbours by sorting all cosines."""

import numpy as np


def of_neighbours(neighbours, labels, others, *, ks, weights=None):
    neighbours, labels, others = map(np.asarray, (neighbours, labels, others))
    weights = np.ones(len(labels)) if weights is None else weights
    rows = [of_query(n == y, int(r), ks) for n, y, r in zip(neighbours, labels, others, strict=True) if r > 0]
    chosen = np.asarray(weights)[np.asarray(others) > 0]
    mean = np.average(rows, axis=0, weights=chosen)
    return mean[: len(ks)], mean[len(ks) : -3], *mean[-3:]


def of_query(alike, r, ks):
    """Recall and precision at each k, R-precision, MAP@R, reciprocal rank."""
    precision_at = [alike[: i + 1].sum() / (i + 1) for i in range(len(alike))]
    at_r = sum(precision_at[i] for i in range(min(r, len(alike))) if alike[i]) / r
    places = np.flatnonzero(alike)
    of_r = (alike[:r].sum() / r, at_r) if r <= len(alike) else (np.nan, np.nan)
    reciprocal = 1 / (places[0] + 1) if len(places) else 0.0
    return [*(float(alike[:k].any()) for k in ks), *(alike[:k].sum() / k for k in ks), *of_r, reciprocal]


def of_embeddings(embeddings, labels, gallery=None, gallery_labels=None, *, ks, weights=None):
    alone = gallery is None
    gallery, gallery_labels = (embeddings, labels) if alone else (gallery, gallery_labels)
    gallery_labels = np.asarray(gallery_labels)
    cosines = unit(embeddings) @ unit(gallery).T
    neighbours = []
    for query, row in enumerate(cosines):
        order = np.argsort(-row, kind="stable")
        neighbours.append(gallery_labels[order[order != query] if alone else order])
    others = [(gallery_labels == label).sum() - alone for label in labels]
    return of_neighbours(np.array(neighbours), labels, np.array(others), ks=ks, weights=weights)


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)
