"""The lab operator: registrar, call routing and the operator's HTTP API in one process on loopback."""
