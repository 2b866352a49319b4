"""Seed a torrent with libtorrent as it comes: stock_seed.py TORRENT FOLDER. A client that is not ours."""

import sys
import time

import libtorrent as lt

session = lt.session()
wanted = lt.add_torrent_params()
wanted.ti = lt.torrent_info(sys.argv[1])
wanted.save_path = sys.argv[2]
session.add_torrent(wanted)
while True:
    time.sleep(60)
