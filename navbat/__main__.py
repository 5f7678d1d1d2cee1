"""``python -m navbat``."""

import sys

from navbat.cli.main import main

sys.exit(main())
