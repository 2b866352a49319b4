"""What runs on a PC: UpdateCache and the cache's one seeder process.

update.py     the command: find cache and image, hand the work to the seeder, tell how it goes
control.py    the socket between the two
process.py    how a command starts that process, and how it ends
seeder.py     the process: one libtorrent session a cache
fill.py       one image: plan, fetch, land
versions.py   the version before the one that stands, and how the two change places
stock.py      what the owner of a cache sees of it, and does with it
"""
