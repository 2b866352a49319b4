"""Images of another repository, or of a mounted folder, kept in step here."""
