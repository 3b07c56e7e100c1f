"""The guard against SMS pumping: what nobody verifies uses up a budget, which grows with what somebody does."""
