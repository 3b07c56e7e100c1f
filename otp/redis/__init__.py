"""The one room that talks to Redis: how it is reached, how commands go out, and the scripts that decide in it."""
