"""The events that the services exchange, their schemas, and which service consumes which."""
