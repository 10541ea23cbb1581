"""How the answers look: one file a screen, each a form that makes a request and a view that shows a result."""
