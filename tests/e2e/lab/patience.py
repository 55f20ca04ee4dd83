"""How long a test waits, in seconds, for what must happen.

Far longer than anything takes, also on a busy machine: a test that passes never
waits that long, and no test may call it a failure that something was slow.
"""

PATIENCE = 60
