"""The model: its networks, bottleneck and loss, and the module that joins them."""
