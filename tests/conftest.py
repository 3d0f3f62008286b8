"""What holds for all tests."""

from hypothesis import settings

# A machine that stops for a second is no counterexample: what must be quick has a bound of its own in its test.
settings.register_profile("patient", parent=settings(), deadline=None)
settings.load_profile("patient")
