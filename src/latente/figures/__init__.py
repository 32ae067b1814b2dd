"""Figures of a fitted autoencoder, and the page of the demo."""
