"""What the fault tests are built from: a relay that is killed, a sink that
remembers, clients that know what they were promised."""
