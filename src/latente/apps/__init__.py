"""What an autoencoder is put to."""
