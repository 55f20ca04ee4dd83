"""A small Internet on loopback: DNS, policy hosts, MX hosts, and the relay."""
