"""All that happened to a person, a firm or a deal, as one stream."""
