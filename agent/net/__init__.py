"""Where the operator's SIP servers are: DNS, kept so that the telephone outlives it."""
