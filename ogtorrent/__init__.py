"""ogtorrent fills a classroom: publisher, seeder and UpdateCache for images of disks."""

__version__ = "0.1.0"
