"""Every text the console shows, complete in each language: ``en``, ``ru``, ``uz``."""
