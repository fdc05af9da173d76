"""Other people's tools on our documents, in an environment of their own; nothing here imports our rooms."""
