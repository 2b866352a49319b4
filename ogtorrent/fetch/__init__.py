"""How an image comes from another machine, to a cache or a repository: asked for, shared, made safe."""
