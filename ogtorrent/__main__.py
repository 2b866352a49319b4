"""`python -m ogtorrent`: the same as the `ogtorrent` command."""

from ogtorrent.cli import main

main()
