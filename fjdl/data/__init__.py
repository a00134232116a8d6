"""Data sets as pairs of pure functions: formats, verified downloads, splits, and batches by step.

One format or data set a file. A data set is a function that returns `Splits`. May import floor 0 alone.

>>> from fjdl.data import batches, embedded
>>> splits = embedded.iris()
>>> splits.classes
('setosa', 'versicolor', 'virginica')
>>> indices, mask = batches.batch_indices(jax.random.key(0), 7, length=splits.train.length, batch_size=16)
>>> splits.train.element(np.asarray(indices))["features"].shape
(16, 4)
"""
