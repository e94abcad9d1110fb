"""A whole operator on loopback, simulated phones and scripted calls, for newcomers and tests."""
