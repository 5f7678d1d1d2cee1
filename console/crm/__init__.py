"""Leads, deals, people, companies and tasks on the screen."""
