"""The production server: what gunicorn's worker does differently here."""
