"""Documents become clean documents: normalise the text, then apply the filter funnel."""
