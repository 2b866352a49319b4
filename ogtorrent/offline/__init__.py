"""A cache that boots by itself: a live system in it, GRUB on its disk, a menu of its images.

disk    what the partition of the cache and its neighbours are
live    a live system: where one is found, and how it comes into the cache
menu    GRUB's menu, from the live system and the images
mbr     GRUB for BIOS, in the boot record of the disk
esp     GRUB for UEFI, in the EFI system partition
plan    what is missing or old, decided purely
make    it is done, so that what could be booted before can be booted at every instant
"""
