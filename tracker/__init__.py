"""A BitTorrent tracker and its status page, for any folder of `.torrent` files.

The doors: `python -m tracker FOLDER`, and `tracker.server.attach` for an aiohttp application of your own.
"""
