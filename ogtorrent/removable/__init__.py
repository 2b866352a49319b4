"""A repository on a disk that is only read: seeded as it stands, with no copy and no hash."""
