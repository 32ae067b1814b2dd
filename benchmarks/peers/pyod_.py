"""PyOD's autoencoders with their own defaults: one set a call, scores and seconds back.

    python -m peers.pyod_ NAME IN.npz OUT.npz

IN holds `train` and `test`, rows by columns; OUT gets `scores`, higher for odder, and `seconds`.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from pyod.models.auto_encoder import AutoEncoder
from pyod.models.vae import VAE

MODELS = {"autoencoder": AutoEncoder, "vae": VAE}


def main() -> None:
    """Fit on the rows of IN and score."""
    name, given, wanted = sys.argv[1:]
    with np.load(given) as rows:
        train, test = rows["train"], rows["test"]
    MODELS[name](epoch_num=1, verbose=0).fit(train[:64])  # imports and first calls, not timed
    begun = time.perf_counter()
    model = MODELS[name](verbose=0)
    model.fit(train)
    scores = model.decision_function(test)
    np.savez(wanted, scores=scores, seconds=time.perf_counter() - begun)


if __name__ == "__main__":
    main()
