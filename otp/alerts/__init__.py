"""What the operator should know at once: alerts, logged and posted in the background. No Flask."""
