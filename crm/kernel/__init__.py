"""What everything stands on: records, the store's port, errors, text. Imports nothing else of ours."""
