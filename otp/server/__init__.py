"""The production server: how this worker differs from gunicorn's."""
