"""The telephone: its records (`protocol`), the agent's side of the socket (`client`), the process itself (`daemon`)."""
