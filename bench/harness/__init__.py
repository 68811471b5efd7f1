"""How the clients are measured."""
