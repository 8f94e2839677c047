"""`python -m dojang` is the command line."""

import sys

from dojang.cli.main import main

sys.exit(main())
