"""Uses of an autoencoder: each a small module on top of the estimator."""
