"""Documents get what a mixture selects by: quality score, language and kind tags."""
