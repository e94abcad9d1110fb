"""The operator's API, seen from the adapter: subscription, price lists, upload of call records."""
