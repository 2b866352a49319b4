"""Whole rooms: the commands of the README on hosts of their own, with real disks and foreign clients."""
