"""The only room that imports the redis library: connections, round trips, keys, scripts."""
