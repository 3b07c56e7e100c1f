"""The only package that imports the redis library: connections, round trips, keys, scripts."""
