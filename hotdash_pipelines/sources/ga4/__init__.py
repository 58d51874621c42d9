"""Google Analytics 4: client and streams."""
