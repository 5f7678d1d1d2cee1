"""Objects come in and go out as files: CSV and vCard."""
