"""The story of a model from training to Production and back, on real servers, told one line at a time."""
