"""From a source's values to ours: what is carried, in which form, and what cannot be."""
