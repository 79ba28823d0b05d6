"""Pages on which people rate, and the owner's page. Needs the extra `web`; imports no network."""
