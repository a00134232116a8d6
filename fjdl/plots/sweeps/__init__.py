"""Figures of searches over hyper-parameters: what came out of trials at many points.

May import `fjdl.plots` and what `fjdl.plots` may.

>>> from fjdl.plots.sweeps.marginals import marginals
>>> figure = marginals([{"rate": 0.1}, {"rate": 0.01}], [0.9, 0.8], score="accuracy", title="two trials")
>>> [axes.get_xlabel() for axes in figure.axes]
['rate']
"""
