"""The store: a fast copy of a workspace's events, in the order in which questions need them."""
