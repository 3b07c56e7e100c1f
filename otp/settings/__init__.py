"""How the settings are read; config.py puts them together."""
