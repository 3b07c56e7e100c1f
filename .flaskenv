# What `flask` runs: the operator's commands.
FLASK_APP=cli
