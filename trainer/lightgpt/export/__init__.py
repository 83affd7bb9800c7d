"""Our models in the formats of others. A format's module maps names and shapes of weights; it opens no files."""
