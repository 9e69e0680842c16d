"""The demo: a model's path from training to Production and back, on real servers."""
