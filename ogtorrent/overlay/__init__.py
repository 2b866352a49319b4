"""What is laid over an image: its manifest, which layer wins, and how it gets into a file system."""
