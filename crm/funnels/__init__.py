"""Through the stages of a funnel, and from a lead to contact, company and deal."""
