"""The only room that imports libtorrent: metainfo, session and policy."""
