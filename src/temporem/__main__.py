"""`python -m temporem`: the command line, where the script is not on the path."""

import sys

from temporem.cli.main import main

sys.exit(main())
