"""What runs on the server: publish, seed, the catalogue, serve."""
