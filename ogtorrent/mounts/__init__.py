"""What of images is elsewhere, made a directory here: repositories, caches, removable disks."""
