"""Below the document: paragraphs, and sentences where a document begins and ends, that a group has already."""
