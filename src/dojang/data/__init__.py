"""Pictures in, labelled batches out: decoding, manifests, splits, the store and the loader."""
