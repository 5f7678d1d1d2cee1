"""The objects of the CRM: their fields, rights, changes, and what is kept of each change."""
