"""OAuth 2.1, so that a host connects to /mcp by its URL alone: whoever holds a key lets it in on a page."""
