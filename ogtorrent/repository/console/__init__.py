"""The console's protocol: its database's groups and clients, and the repository's images, over HTTP."""
