"""What starts work by itself: deliveries that land, and the one automation policy."""
