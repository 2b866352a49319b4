"""The HTTP front end: announce and scrape (BEP 3, 7, 23, 31, 48), and what can be looked at."""
