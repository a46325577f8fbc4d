"""Waldur Mastermind's marketplace API (7.0 and 8.x), as far as a provider's offerings go."""
