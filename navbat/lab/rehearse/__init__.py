"""``navbat rehearse``: recorded days played again under other rules."""
