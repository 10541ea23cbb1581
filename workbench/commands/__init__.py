"""One file a command: options → request → output."""
