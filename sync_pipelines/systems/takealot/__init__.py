"""Takealot's Marketplace API v1, as far as sales and offers go. It only reads: the same key could change prices."""
