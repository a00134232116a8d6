"""Tiny models of the next token, as steps."""

from typing import Any

import jax.numpy as jnp
import numpy as np

K = 4  # tokens; 0 pads, 3 ends


def recurrent(seed: int = 0, *, k: int = K, width: int = 6, scale: float = 2.0) -> tuple[Any, Any]:
    """A step whose logits depend on all tokens so far, and the same in NumPy for one sequence: [t] to [t, k]."""
    rng = np.random.default_rng(seed)
    embed, mix, out = (rng.standard_normal(s).astype(np.float32) for s in ((k, width), (width, width), (width, k)))

    def step(state: Any, tokens: Any) -> Any:
        hidden = jnp.tanh(state["hidden"] @ mix + jnp.asarray(embed)[tokens])
        logits = scale * (hidden @ out) + state["memory"]
        return logits, {**state, "hidden": hidden, "position": state["position"] + 1}

    def forward(tokens: Any, memory: Any) -> np.ndarray:
        hidden, rows = np.zeros(width), []
        for token in tokens:
            hidden = np.tanh(hidden @ mix.astype(float) + embed[token])
            rows.append(scale * hidden @ out + memory)
        return np.array(rows)

    return step, forward


def start(memory: Any, width: int = 6) -> dict[str, Any]:
    """The state before any token; `memory` [n, k] is a bias that stays, as an encoder's memory does."""
    memory = jnp.asarray(memory, jnp.float32)
    return {"hidden": jnp.zeros((memory.shape[0], width)), "memory": memory, "position": jnp.zeros((), jnp.int32)}


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
