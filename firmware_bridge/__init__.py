"""The serial line card: the wire protocol, the client of the gateway, and a simulated card."""
