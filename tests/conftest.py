"""How Hypothesis looks for counterexamples: the same ones in CI every time, new ones wherever somebody sits and watches."""

import os

from hypothesis import settings

settings.register_profile("developer", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "developer")
