"""Figures of the documentation; `experiments.pages` writes them to `docs/`.

One figure a file. May import `fjdl.plots` and what `fjdl.plots` may.

>>> from fjdl.autodiff import graph, tape
>>> from fjdl.plots.pages.computation_graph import computation_graph
>>> x = tape.Variable(3.0, name="x")
>>> figure = computation_graph(graph(x * x + x), title="x² + x at 3")
>>> figure.axes[0].get_title()
'x² + x at 3'
"""
