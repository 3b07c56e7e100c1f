"""The production server's own code: what gunicorn's worker does differently here."""
