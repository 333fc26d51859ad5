"""A search index as a destination: documents, their IDs, the mapping, and what OpenSearch answers."""
