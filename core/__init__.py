"""Everything Capista knows and does; no screen, no HTTP server."""
