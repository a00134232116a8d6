"""Ways of computing an operation on each platform: the same numbers as the formula, in the form that runs fast there.

Formulas stand in `fjdl.functional`, which may import this room; this room imports only floor 0. Every form for one
platform names the versions of jaxlib for which it was measured, see `fjdl.measured`.
"""
