"""The UDP front end (BEP 15)."""
