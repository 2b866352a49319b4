"""What people and programs see: one frozen snapshot, and its renderings."""
