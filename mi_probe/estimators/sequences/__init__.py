"""Classes on whole sequences: networks that read tokens, as a view of the stack."""
