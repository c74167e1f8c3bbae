"""Search: the keyword index, topics that share words, and the nearest embeddings."""
