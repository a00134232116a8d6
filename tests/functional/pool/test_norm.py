from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional.pool.norm import lp_pool2d


def test_norms_of_windows_join_sums_and_maxima_and_do_not_overflow():
    x = jnp.asarray([[3e30, -4e30], [0.0, 0.0]]).reshape(1, 2, 2, 1)
    for p, norm in ((1.0, 7e30), (2.0, 5e30), (200.0, 4e30)):
        np.testing.assert_allclose(jax.jit(partial(lp_pool2d, p=p, window=2))(x).ravel(), [norm], rtol=1e-6)
    for p in (0.5, np.inf, np.nan):
        with pytest.raises(ValueError, match=r"p must lie in \[1, inf\), got"):
            lp_pool2d(x, p=p, window=2)
