"""From what the user names to files that can be read: listing, probing, staging, shapes, mapping, relation."""
