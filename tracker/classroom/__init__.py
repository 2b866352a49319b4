"""What becomes of a room: who fills, is done, lost or slow, and why, and what is kept of it."""
